/**
 * What a swarm and its child processes say to each other, as data over IPC: one task there, signs of life and one end back.
 * What comes from the other side is looked at before it is believed, because a process that is dying may say anything.
 */
import { z } from 'zod';

const TASK = z.object({ type: z.literal('task'), number: z.int(), scenario: z.string(), seed: z.int() });

const END = z.object({
  type: z.literal('end'),
  number: z.int(),
  outcome: z.discriminatedUnion('type', [
    z.object({ type: z.literal('passed'), nodeHours: z.number() }),
    z.object({
      type: z.literal('failed'),
      nodeHours: z.number(),
      violations: z.int(),
      first: z.object({ id: z.string(), atMs: z.number(), detail: z.string() }),
    }),
    z.object({ type: z.literal('crashed'), reason: z.string() }),
  ]),
});

/** Still computing. */
const ALIVE = z.object({ type: z.literal('alive') });

const ANSWER = z.discriminatedUnion('type', [END, ALIVE]);

export type TaskMessage = z.output<typeof TASK>;
export type AnswerMessage = z.output<typeof ANSWER>;

/** undefined = no task. */
export function readTask(message: unknown): TaskMessage | undefined {
  return TASK.safeParse(message).data;
}

/** undefined = no answer. */
export function readAnswer(message: unknown): AnswerMessage | undefined {
  return ANSWER.safeParse(message).data;
}
