/**
 * Reads source text well enough to judge it: which characters are code, which are comments and which are inside a string,
 * a template or a regular expression. A full parser would be a dependency for three questions.
 */

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** The same text, at the same places, with comments and the insides of literals as spaces. */
export function codeOnly(text: string): string {
  return text.replaceAll(TOKEN, (token: string, ...rest: unknown[]) => {
    const offset = rest.find((part) => typeof part === 'number') ?? 0;
    if (token.startsWith('/') && !/^\/[/*]/.test(token) && !startsExpression(text, offset)) return token;
    return token.startsWith('`') ? blankTemplate(token) : blank(token);
  });
}

// In this order at each place: comments, strings, templates (with one level of nested braces), regular expressions.
const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|\$\{(?:[^{}`]|\{[^{}]*\}|`(?:\\.|\$\{[^{}]*\}|[^`\\])*`)*\}|[^`\\])*`|\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g;

function blank(token: string): string {
  return token.replaceAll(/[^\n]/g, ' ');
}

/** What stands in `${}` of a template is code. */
function blankTemplate(token: string): string {
  return token
    .split(/(\$\{(?:[^{}]|\{[^{}]*\})*\})/)
    .map((part) => (part.startsWith('${') ? part : blank(part)))
    .join('');
}

/** A slash after a value divides; anywhere else it begins a regular expression. */
function startsExpression(text: string, offset: number): boolean {
  const before = text.slice(Math.max(0, offset - 40), offset).trimEnd();
  return /(?:^|[(,=:[!&|?{};+\-*%<>~]|\breturn|\bcase|\bof|\bin|=>)$/.test(before);
}

export interface ImportOf {
  readonly specifier: string;
  /** `import type`, or only `type` names in the braces: nothing of it runs. */
  readonly typeOnly: boolean;
}

/** Everything a file takes from elsewhere: `import`, `export from`, `import()`, `new URL(x, import.meta.url)` excepted. */
export function importsOf(text: string): readonly ImportOf[] {
  const code = withoutComments(text);
  const statements = code.matchAll(
    /^(?:import|export)\s+(?<clause>(?:type\s+)?(?:[\w$*]+(?:\s+as\s+[\w$]+)?\s*,?\s*)?(?:\{[^}]*\})?)\s*from\s+['"](?<from>[^'"]+)['"]/gm,
  );
  const found = [...statements].map(({ groups }) => ({
    specifier: groups?.['from'] ?? '',
    typeOnly: isTypeClause(groups?.['clause'] ?? ''),
  }));
  const bare = [
    ...code.matchAll(/^import\s+['"](?<from>[^'"]+)['"]/gm),
    ...code.matchAll(/\bimport\(\s*['"](?<from>[^'"]+)['"]/g),
  ];
  return [...found, ...bare.map(({ groups }) => ({ specifier: groups?.['from'] ?? '', typeOnly: false }))];
}

function isTypeClause(clause: string): boolean {
  if (/^type\s/.test(clause)) return true;
  const names = /^\{(?<names>[^}]*)\}$/.exec(clause.trim())?.groups?.['names'];
  return names !== undefined && names.split(',').every((name) => name.trim() === '' || /^type\s/.test(name.trim()));
}

function withoutComments(text: string): string {
  return text.replaceAll(TOKEN, (token: string) => (/^\/[/*]/.test(token) ? blank(token) : token));
}
