/**
 * Which calls into the kernel may the process of a model not make? A filter for seccomp, as the bytes that the kernel takes:
 * sockets of any kind but local ones, looking into or changing other processes, namespaces and mounts, loading code into
 * the kernel, and the interfaces with a history of holes that an engine never needs. They fail with an error instead of
 * ending the process, so that a library that only asks goes on. Everything else is allowed: drivers need too much of it.
 * Source: Linux's syscall tables and classic BPF (spec); the list is that of container runtimes' defaults, shortened (copied).
 */

/** Processors whose calls we know. */
export type SeccompArchitecture = 'x64' | 'arm64';

interface Table {
  /** AUDIT_ARCH_*. */
  readonly audit: number;
  readonly socket: number;
  readonly clone3: number;
  readonly forbidden: readonly number[];
}

/** ptrace, process_vm_readv/writev, unshare, setns, mount, umount2, pivot_root, move_mount, open_tree, fsopen, bpf,
 *  perf_event_open, userfaultfd, io_uring x 3, keyctl, add_key, request_key, kexec_load, kexec_file_load, init_module,
 *  finit_module, delete_module, open_by_handle_at, acct, swapon, swapoff, reboot. */
const TABLES: Readonly<Record<SeccompArchitecture, Table>> = {
  x64: {
    audit: 0xc000003e,
    socket: 41,
    clone3: 435,
    forbidden: [
      101, 310, 311, 272, 308, 165, 166, 155, 429, 428, 430, 321, 298, 323, 425, 426, 427, 250, 248, 249, 246, 320, 175,
      313, 176, 304, 163, 167, 168, 169,
    ],
  },
  arm64: {
    audit: 0xc00000b7,
    socket: 198,
    clone3: 435,
    forbidden: [
      117, 270, 271, 97, 268, 40, 39, 41, 429, 428, 430, 280, 241, 282, 425, 426, 427, 219, 217, 218, 104, 294, 105,
      273, 106, 265, 89, 224, 225, 142,
    ],
  },
};

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;
const AF_UNIX = 1;
/** Calls of another ABI on the same processor start here. Source: spec (__X32_SYSCALL_BIT). */
const X32_BIT = 0x4000_0000;

const ALLOW = 0x7fff_0000;
const KILL_PROCESS = 0x8000_0000;
const ERRNO = 0x0005_0000;

/** Offsets in `struct seccomp_data`, little-endian. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const FIRST_ARGUMENT = 16;

const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_AT_LEAST = 0x35;
const RETURN = 0x06;

interface Instruction {
  readonly code: number;
  /** How many instructions to skip when the test holds, and when it does not. */
  readonly whenTrue?: number;
  readonly whenFalse?: number;
  readonly operand: number;
}

const INSTRUCTION_BYTES = 8;

/** The program for bubblewrap's `--seccomp`: an array of `struct sock_filter`, little-endian. */
export function seccompFilter(architecture: SeccompArchitecture): Uint8Array {
  const { audit, socket, clone3, forbidden } = TABLES[architecture];
  const program: Instruction[] = [
    { code: LOAD, operand: ARCHITECTURE },
    { code: JUMP_IF_EQUAL, operand: audit, whenTrue: 1 },
    { code: RETURN, operand: KILL_PROCESS },
    { code: LOAD, operand: NUMBER },
    ...(architecture === 'x64' ? failWhen(JUMP_IF_AT_LEAST, X32_BIT, EPERM) : []),
    // Its flags lie in memory, where no filter can look: C libraries fall back on clone.
    ...failWhen(JUMP_IF_EQUAL, clone3, ENOSYS),
    ...forbidden.flatMap((number) => failWhen(JUMP_IF_EQUAL, number, EPERM)),
    { code: JUMP_IF_EQUAL, operand: socket, whenFalse: 3 },
    { code: LOAD, operand: FIRST_ARGUMENT },
    { code: JUMP_IF_EQUAL, operand: AF_UNIX, whenTrue: 1 },
    { code: RETURN, operand: ERRNO + EAFNOSUPPORT },
    { code: RETURN, operand: ALLOW },
  ];
  const bytes = new DataView(new ArrayBuffer(program.length * INSTRUCTION_BYTES));
  for (const [index, { code, whenTrue = 0, whenFalse = 0, operand }] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    bytes.setUint16(at, code, true);
    bytes.setUint8(at + 2, whenTrue);
    bytes.setUint8(at + 3, whenFalse);
    bytes.setUint32(at + 4, operand, true);
  }
  return new Uint8Array(bytes.buffer);
}

function failWhen(test: number, operand: number, errno: number): readonly Instruction[] {
  return [
    { code: test, operand, whenFalse: 1 },
    { code: RETURN, operand: ERRNO + errno },
  ];
}
