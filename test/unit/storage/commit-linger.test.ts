import { describe, expect, it } from 'vitest'
import { CommitLinger } from '../../../src/storage/commit-linger.ts'

describe('commit linger', () => {
  it('commits at once without a linger, and when the log was idle', () => {
    expect(new CommitLinger(0).waitMs(0, 1)).toBe(0)
    const linger = new CommitLinger(5)
    expect(linger.waitMs(0, 1)).toBe(0)
    linger.committed(0, 1)
    expect(linger.waitMs(5, 1)).toBe(0)
  })

  it('waits under load until the linger is over', () => {
    const linger = new CommitLinger(5)
    linger.committed(0, 1)
    expect(linger.waitMs(1, 1)).toBe(4)
    expect(linger.waitMs(1, 1_000)).toBe(4)
  })

  it('does not wait longer than a full wait brought records', () => {
    const linger = new CommitLinger(5)
    linger.committed(0, 1)
    linger.committed(5, 50)
    expect(linger.waitMs(5.3, 49)).toBe(5)
    expect(linger.waitMs(5.3, 50)).toBe(0)
  })

  it('never makes a client wait that waits for its ack alone', () => {
    const linger = new CommitLinger(5)
    linger.committed(0, 1)
    linger.committed(5, 1)
    for (let nowMs = 5.5; nowMs < 500; nowMs += 0.5) {
      expect(linger.waitMs(nowMs, 1)).toBe(0)
      linger.committed(nowMs, 1)
    }
  })

  it('learns anew once a second, so that it follows a load that grows', () => {
    const linger = new CommitLinger(5)
    linger.committed(0, 1)
    linger.committed(5, 1)
    linger.committed(1_005, 1)
    expect(linger.waitMs(1_006, 900)).toBe(4)
    linger.committed(1_010, 900)
    expect(linger.waitMs(1_011, 899)).toBe(4)
    expect(linger.waitMs(1_011, 900)).toBe(0)
  })

  it('gathers a slow stream when the linger is long', () => {
    const linger = new CommitLinger(1_000)
    linger.committed(0, 1)
    expect(linger.waitMs(100, 1)).toBe(900)
    linger.committed(1_000, 10)
    expect(linger.waitMs(1_900, 9)).toBe(100)
  })
})
