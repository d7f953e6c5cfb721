import { request as plainRequest } from 'node:http'
import { request as secureRequest } from 'node:https'
import type { PostForm } from '../http-post.ts'
import { tlsFault, trustOptions } from './tls-client.ts'

const maxBodyBytes = 1 << 20

export const nodePostForm: PostForm = ({ url, fields, user, password, trust, timeoutMs }) =>
  new Promise((resolve, reject) => {
    const isSecure = url.startsWith('https:')
    const options = {
      method: 'POST',
      auth: `${user}:${password}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      signal: AbortSignal.timeout(timeoutMs),
      agent: false,
    } as const
    const call = isSecure ? secureRequest(url, { ...options, ...trustOptions(trust) }) : plainRequest(url, options)
    const fail = (error: Error): void => {
      const isLate = error.name === 'AbortError' || error.name === 'TimeoutError'
      reject(isLate ? new Error(`no answer within ${timeoutMs} ms`) : isSecure ? tlsFault(error) : error)
    }
    call.on('error', fail)
    call.on('response', response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('error', fail)
      response.on('data', (part: string) => {
        body += part
        if (body.length > maxBodyBytes) call.destroy(new Error(`the answer has more than ${maxBodyBytes} bytes`))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    call.end(new URLSearchParams(fields).toString())
  })
