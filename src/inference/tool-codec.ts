/**
 * The parts of a job that few jobs have, as a peer sent them: tools, calls of tools, and work that is no conversation.
 * Bounds are those of the front door, checked again because the asking node is a peer. Whether the schemas of tools can be followed
 * is for the engine to say.
 */
import { INFERENCE, LIMITS } from '../params.ts';
import type { Task, Tool, ToolCall, ToolUse } from './engine.ts';
import type { FieldReader } from './field-reader.ts';

const TOOL_NAME = /^[A-Za-z0-9_-]+$/;
const WHOLE_BODY = { bytesMax: INFERENCE.bodyBytesMax } as const;

export function readToolUse(reader: FieldReader, value: unknown): ToolUse {
  const fields = reader.record(value, 'job.toolUse');
  const list = reader.list(fields['tools'], { path: 'job.toolUse.tools', min: 1, max: LIMITS.tools });
  const tools = list.map((item, index) => readTool(reader, item, `job.toolUse.tools[${index}]`));
  const names = new Set(tools.map(({ name }) => name));
  if (names.size !== tools.length) reader.fail('job.toolUse.tools: two have the same name');
  return { tools, choice: readChoice(reader, fields['choice'], names), parallel: fields['parallel'] === true };
}

export function readToolCalls(reader: FieldReader, value: unknown, path: string): readonly ToolCall[] {
  return reader.list(value, { path, min: 1, max: LIMITS.toolCalls }).map((item, index) => {
    const fields = reader.record(item, `${path}[${index}]`);
    return {
      id: readToolCallId(reader, fields['id'], `${path}[${index}].id`),
      name: readName(reader, fields['name'], `${path}[${index}].name`),
      arguments: reader.text(fields['arguments'], { path: `${path}[${index}].arguments`, ...WHOLE_BODY }),
    };
  });
}

export function readToolCallId(reader: FieldReader, value: unknown, path: string): string {
  return reader.text(value, { path, bytesMax: LIMITS.toolCallIdCharacters * 3 });
}

export function readTask(reader: FieldReader, value: unknown): Task | undefined {
  const fields = reader.record(value, 'job.task');
  const text = (name: string): string => reader.text(fields[name], { path: `job.task.${name}`, ...WHOLE_BODY });
  const texts = (name: string, max: number): readonly string[] =>
    reader
      .list(fields[name], { path: `job.task.${name}`, min: 1, max })
      .map((item, index) => reader.text(item, { path: `job.task.${name}[${index}]`, ...WHOLE_BODY }));
  switch (fields['type']) {
    case 'completion':
      return { type: 'completion', prompt: text('prompt') };
    case 'embedding':
      return { type: 'embedding', inputs: texts('inputs', LIMITS.inputs) };
    case 'rerank':
      return { type: 'rerank', query: text('query'), documents: texts('documents', LIMITS.documents) };
    default:
      reader.fail('job.task.type: expected one of completion, embedding, rerank');
      return undefined;
  }
}

function readTool(reader: FieldReader, value: unknown, path: string): Tool {
  const fields = reader.record(value, path);
  const bounded = { bytesMax: LIMITS.toolBytes };
  const { description } = fields;
  return {
    name: readName(reader, fields['name'], `${path}.name`),
    ...(description === undefined
      ? {}
      : { description: reader.text(description, { path: `${path}.description`, ...bounded }) }),
    parameters: reader.text(fields['parameters'], { path: `${path}.parameters`, ...bounded }),
  };
}

function readName(reader: FieldReader, value: unknown, path: string): string {
  const name = reader.text(value, { path, bytesMax: LIMITS.toolNameCharacters });
  if (!TOOL_NAME.test(name)) reader.fail(`${path}: expected letters, digits, "_" and "-"`);
  return name;
}

function readChoice(reader: FieldReader, value: unknown, names: ReadonlySet<string>): ToolUse['choice'] {
  const fields = reader.record(value, 'job.toolUse.choice');
  const { type } = fields;
  if (type === 'auto' || type === 'required') return { type };
  const name = readName(reader, fields['name'], 'job.toolUse.choice.name');
  if (type !== 'named') reader.fail('job.toolUse.choice.type: expected one of auto, required, named');
  else if (!names.has(name)) reader.fail('job.toolUse.choice.name: no tool has this name');
  return { type: 'named', name };
}
