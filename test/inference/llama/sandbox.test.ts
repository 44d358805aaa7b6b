import assert from 'node:assert/strict';
import { planSandbox, sandboxCommand, type SandboxProbe, sandboxText } from '../../../src/inference/llama/sandbox.ts';
import { seccompFilter } from '../../../src/inference/llama/seccomp-filter.ts';

const WHOLE: SandboxProbe = { bubblewrap: '/usr/bin/bwrap', prlimit: '/usr/bin/prlimit', architecture: 'x64' };
const COMMAND = {
  probe: WHOLE,
  node: '/opt/node',
  nodeArguments: ['--max-old-space-size=64', '/app/src/child.ts'],
  readable: ['/opt/node', '/app/src', '/models/tiny.gguf'],
  writable: [],
  devices: [],
  environment: { LANG: 'C' },
  memoryBytesMax: 1_000,
  channelFd: 3,
  filterFd: 4,
};

describe('the sandbox of a model', () => {
  it('has every layer that the machine offers, and says which is missing', () => {
    const { bubblewrap, prlimit, architecture } = WHOLE;
    assert.ok(bubblewrap !== undefined && prlimit !== undefined && architecture !== undefined);
    assert.deepEqual(planSandbox('auto', WHOLE), {
      type: 'plan',
      layers: ['bubblewrap', 'seccomp', 'prlimit', 'permission'],
    });
    assert.deepEqual(planSandbox('require', { bubblewrap }), { type: 'plan', layers: ['bubblewrap', 'permission'] });
    assert.deepEqual(planSandbox('off', WHOLE), { type: 'plan', layers: [] });
    assert.deepEqual(planSandbox('auto', { problem: 'it is not installed' }), {
      type: 'plan',
      layers: ['permission'],
      problem: 'it is not installed',
    });
    const refused = planSandbox('require', { problem: 'it is not installed', prlimit });
    assert.match(refused.type === 'refused' ? refused.reason : '', /^it is not installed, and .*engine.sandbox/);
    assert.equal(sandboxText([]), 'none');
    assert.equal(sandboxText(['bubblewrap', 'seccomp']), 'bubblewrap + seccomp');
  });

  it('starts the child behind all of its layers, and the child is the last word', () => {
    const { file, args } = sandboxCommand({ ...COMMAND, layers: ['bubblewrap', 'seccomp', 'prlimit', 'permission'] });
    assert.equal(file, '/usr/bin/bwrap');
    const inner = args.slice(args.indexOf('--') + 1);
    assert.deepEqual(inner.slice(0, 4), ['/usr/bin/prlimit', '--data=1000', '--core=0', '/opt/node']);
    assert.deepEqual(inner.slice(-2), COMMAND.nodeArguments);
    assert.ok(inner.includes('--permission'));
    for (const needed of ['--unshare-all', '--die-with-parent', '--clearenv']) assert.ok(args.includes(needed), needed);
    assert.deepEqual(args.slice(args.indexOf('--seccomp')).slice(0, 2), ['--seccomp', '4']);
    // Nothing is writable but what vanishes with it.
    assert.ok(!args.some((word) => word === '--bind' || word === '--bind-try'));
    assert.ok(!args.includes('/root') && !args.includes('/home') && !args.includes('/etc'));
  });

  it('is only what is left of it elsewhere', () => {
    const bare = sandboxCommand({ ...COMMAND, layers: ['permission'], probe: {} });
    assert.equal(bare.file, '/opt/node');
    assert.equal(bare.args[0], '--permission');
    assert.deepEqual(sandboxCommand({ ...COMMAND, layers: [] }).args, COMMAND.nodeArguments);
    const simple = sandboxCommand({ ...COMMAND, layers: ['bubblewrap'] });
    assert.ok(!simple.args.includes('--seccomp') && !simple.args.includes('--permission'));
  });
});

/** Runs a filter as the kernel does. */
function judge(filter: Uint8Array, call: { architecture: number; number: number; first?: number }): number {
  const program = new DataView(filter.buffer);
  const fields: Readonly<Record<number, number>> = { 0: call.number, 4: call.architecture, 16: call.first ?? 0 };
  let accumulator = 0;
  for (let at = 0; at < program.byteLength; at += 8) {
    const operand = program.getUint32(at + 4, true);
    const skip = (holds: boolean): number => program.getUint8(at + (holds ? 2 : 3)) * 8;
    switch (program.getUint16(at, true)) {
      case 0x20:
        accumulator = fields[operand] ?? assert.fail('it reads something else');
        break;
      case 0x15:
        at += skip(accumulator === operand);
        break;
      case 0x35:
        at += skip(accumulator >= operand);
        break;
      case 0x06:
        return operand;
      default:
        assert.fail('unknown instruction');
    }
  }
  return assert.fail('it runs off its end');
}

/** What the filter says to answer with an error number. */
function errno(number: number): number {
  return 0x0005_0000 + number;
}

describe('the filter of kernel calls', () => {
  const ALLOW = 0x7fff_0000;
  const KILL = 0x8000_0000;

  it('lets work through and forbids what an engine never needs', () => {
    const x64 = {
      filter: seccompFilter('x64'),
      architecture: 0xc000003e,
      read: 0,
      ptrace: 101,
      unshare: 272,
      socket: 41,
    };
    const arm64 = {
      filter: seccompFilter('arm64'),
      architecture: 0xc00000b7,
      read: 63,
      ptrace: 117,
      unshare: 97,
      socket: 198,
    };
    for (const { filter, architecture, read, ptrace, unshare, socket } of [x64, arm64]) {
      const table = [
        [{ architecture, number: read }, ALLOW],
        [{ architecture, number: ptrace }, errno(1)],
        [{ architecture, number: unshare }, errno(1)],
        [{ architecture, number: 425 }, errno(1)],
        [{ architecture, number: 435 }, errno(38)],
        [{ architecture, number: socket, first: 1 }, ALLOW],
        [{ architecture, number: socket, first: 2 }, errno(97)],
        [{ architecture, number: socket, first: 10 }, errno(97)],
        [{ architecture, number: socket, first: 16 }, errno(97)],
        [{ architecture: 0x40000003, number: read }, KILL],
      ] as const;
      for (const [call, verdict] of table) assert.equal(judge(filter, call), verdict, JSON.stringify(call));
    }
    assert.equal(judge(x64.filter, { architecture: x64.architecture, number: 0x4000_0000 }), errno(1));
  });
});
