/** For mount(8), which finds /dev/fuse open as its descriptor 3. */
export const mountArguments = (path: string): string[] => {
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0'
  return ['-i', '-t', 'fuse', '-o', options, 'power-cut', path]
}
