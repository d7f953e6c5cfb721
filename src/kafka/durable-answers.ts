import type { RequestContext } from './handler.ts'

/**
 * The answers to changes of topics, once these are durable. When they cannot be, each answer without an error becomes a refusal; `bare` is what
 * stays of it then.
 */
export const whenDurable = async <Answer extends { readonly errorCode: number }>(
  answers: Answer[],
  context: RequestContext,
  bare: (answer: Answer) => Answer = answer => answer,
): Promise<Answer[]> => {
  try {
    await context.services.broker.topics.durable()
    return answers
  } catch (error) {
    const refusal = context.refusal(error)
    return answers.map(answer => (answer.errorCode === 0 ? { ...bare(answer), ...refusal } : answer))
  }
}
