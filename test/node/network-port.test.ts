import assert from 'node:assert/strict';
import { parseNodeId } from '../../src/ids.ts';
import type { Input } from '../../src/node/events.ts';
import { NetworkPort } from '../../src/node/network-port.io.ts';
import type { DialResult, Network } from '../../src/node/network.ts';

const ADDRESS = '/ip4/192.0.2.1/tcp/4100';

describe('the port to the network', () => {
  const node = parseNodeId(`12D3KooW${'A'.repeat(44)}`);
  let heard: Input[];
  let network: FakeNetwork;
  let port: NetworkPort;

  beforeEach(async () => {
    heard = [];
    network = new FakeNetwork();
    port = new NetworkPort({
      accept: (input) => heard.push(input),
      onProblem: (where, error) => assert.fail(`${where}: ${String(error)}`),
    });
    // Only the members that these tests use.
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    await port.attach(network as unknown as Network);
  });
  afterEach(() => port.detach());

  it('tells the core about new addresses of this machine once, and that it relays, and not that it has none for a moment', () => {
    port.checkAddresses();
    assert.deepEqual(heard, [], 'what the node began with is no news');
    network.current = [];
    port.checkAddresses();
    assert.deepEqual(heard, []);
    network.current = ['/ip4/192.0.2.77/tcp/4100'];
    port.checkAddresses();
    port.checkAddresses();
    assert.deepEqual(heard, [{ type: 'listening', addresses: ['/ip4/192.0.2.77/tcp/4100'] }]);
    network.isRelay = true;
    port.checkAddresses();
    assert.deepEqual(heard[1], { type: 'listening', addresses: ['/ip4/192.0.2.77/tcp/4100'], relays: true });
    port.detach();
    network.current = ['/ip4/192.0.2.78/tcp/4100'];
    port.checkAddresses();
    assert.equal(heard.length, 2, 'a detached port is silent');
  });

  it('says whose an address is that was dialled without knowing, so that it is not dialled again', async () => {
    assert.ok(node !== undefined);
    network.result = { type: 'connected', node, address: ADDRESS };
    port.carryOut({ type: 'dial', node, addresses: [ADDRESS] });
    port.carryOut({ type: 'dial', node: undefined, addresses: [ADDRESS] });
    await network.dialled();
    assert.deepEqual(heard, [{ type: 'connection-opened', node, address: ADDRESS }]);
  });

  it('says of every address of a dial that it failed', async () => {
    network.result = { type: 'failed', address: ADDRESS, reason: 'nobody there' };
    port.carryOut({ type: 'dial', node, addresses: [ADDRESS, '/ip4/192.0.2.2/tcp/1'] });
    await network.dialled();
    assert.deepEqual(
      heard.map((input) => input.type === 'dial-failed' && input.address),
      [ADDRESS, '/ip4/192.0.2.2/tcp/1'],
    );
  });
});

class FakeNetwork {
  current: readonly string[] = [ADDRESS];
  isRelay = false;
  result: DialResult | undefined;
  readonly #dials: Promise<DialResult | undefined>[] = [];

  addresses(): readonly string[] {
    return this.current;
  }

  reach(): { readonly isRelay: boolean } {
    return { isRelay: this.isRelay };
  }

  async handle(): Promise<void> {}

  async dial(): Promise<DialResult | undefined> {
    const dial = Promise.resolve(this.result);
    this.#dials.push(dial);
    return dial;
  }

  /** Every dial is over and was reported. */
  async dialled(): Promise<void> {
    await Promise.all(this.#dials);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
