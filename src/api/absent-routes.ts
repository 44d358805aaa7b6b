/**
 * Why is there nothing at a path where a client's own service has something? Clients ask for more than a mesh of models can
 * have: files, stored responses, pictures, models to be pulled. A person who reads the reason knows what to do next; the list of
 * what is here alone would not say it. A path that no service has gets that list only.
 * Source: spec (OpenAI's and Anthropic's API descriptions), copied (Ollama's API documentation).
 */
const STORED = 'this node stores nothing';
const TEXT_ONLY = 'models here read and write text only';
const MODEL_FILES =
  'models are not pulled or changed through this API: put a GGUF file among the models of the node that should serve it';

/** The first whose path begins a request's is the reason. */
const REASONS: readonly (readonly [path: RegExp, reason: string])[] = [
  [/^\/v1\/chat\/completions\/./, `${STORED}: no completion can be read again`],
  [/^\/v1\/responses\//, `${STORED}: send the earlier items in the input of POST /v1/responses`],
  [/^\/v1\/(?:conversations|threads|assistants|vector_stores)(?:$|\/)/, `${STORED}: send all that was said each time`],
  [/^\/v1\/(?:files|uploads|containers)(?:$|\/)/, `${STORED}: send texts in the request that needs them`],
  [/^\/v1\/(?:batches|messages\/batches)(?:$|\/)/, `${STORED}: send the requests one by one, several at a time`],
  [/^\/v1\/(?:images|audio|videos|realtime)(?:$|\/)/, TEXT_ONLY],
  [/^\/v1\/moderations(?:$|\/)/, 'nothing judges texts here'],
  [/^\/v1\/fine_tuning(?:$|\/)/, 'nothing is trained here'],
  [/^\/v1\/complete$/, 'this API has ended: use POST /v1/messages'],
  [/^\/api\/(?:pull|push|create|copy|delete|blobs)(?:$|\/)/, MODEL_FILES],
  [
    /^\/(?:chat\/completions|completions|embeddings|models|responses|messages)(?:$|\/)/,
    'the path begins with /v1 here',
  ],
  [/^\/(?:v1\/)+(?:v1|api)\//, 'the base address has one /v1 too many'],
];

/** `path` without its query; undefined where there is no more to say than that nothing is there. */
export function whyAbsent(path: string): string | undefined {
  return REASONS.find(([pattern]) => pattern.test(path))?.[1];
}
