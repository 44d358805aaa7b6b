/**
 * The explain records of the last requests, by request id. Bounded: when full, the record that came first makes room,
 * because people ask about the request they have just made.
 */
import { invariant } from '../assert.ts';
import type { RequestId } from '../ids.ts';
import type { ExplainRecord } from './explain-record.ts';

/** Source: guess: minutes of a busy front door, about a megabyte. */
const EXPLAIN_RECORDS_MAX = 512;

export class ExplainStore {
  readonly #records = new Map<RequestId, ExplainRecord>();
  readonly #recordsMax: number;

  constructor(recordsMax: number = EXPLAIN_RECORDS_MAX) {
    invariant(recordsMax > 0, 'an explain store holds at least one record');
    this.#recordsMax = recordsMax;
  }

  get size(): number {
    return this.#records.size;
  }

  /** Adds a record, or replaces the one of the same request without making it younger. */
  put(record: ExplainRecord): void {
    this.#records.set(record.requestId, record);
    if (this.#records.size <= this.#recordsMax) return;
    const [oldest] = this.#records.keys();
    if (oldest !== undefined) this.#records.delete(oldest);
  }

  get(requestId: RequestId): ExplainRecord | undefined {
    return this.#records.get(requestId);
  }

  /** Replaces a record by a changed one; does nothing when it made room already. */
  change(requestId: RequestId, change: (record: ExplainRecord) => ExplainRecord): void {
    const record = this.#records.get(requestId);
    if (record !== undefined) this.#records.set(requestId, change(record));
  }
}
