import assert from 'node:assert/strict';
import type { Input } from '../../src/node/events.ts';
import { NetworkPort } from '../../src/node/network-port.io.ts';
import type { Network } from '../../src/node/network.ts';

describe('the port to the network', () => {
  it('tells the core about new addresses of this machine once, and not that it has none for a moment', async () => {
    const heard: Input[] = [];
    const network = new AddressesOnly(['/ip4/192.0.2.1/tcp/4100']);
    const port = new NetworkPort({
      accept: (input) => heard.push(input),
      onProblem: (where, error) => assert.fail(`${where}: ${String(error)}`),
    });
    // Only the members that `attach` and `checkAddresses` use.
    // eslint-disable-next-line typescript/no-unsafe-type-assertion
    await port.attach(network as unknown as Network);
    port.checkAddresses();
    assert.deepEqual(heard, [], 'what the node began with is no news');
    network.current = [];
    port.checkAddresses();
    assert.deepEqual(heard, []);
    network.current = ['/ip4/192.0.2.77/tcp/4100'];
    port.checkAddresses();
    port.checkAddresses();
    assert.deepEqual(heard, [{ type: 'listening', addresses: ['/ip4/192.0.2.77/tcp/4100'] }]);
    port.detach();
    network.current = ['/ip4/192.0.2.78/tcp/4100'];
    port.checkAddresses();
    assert.equal(heard.length, 1, 'a detached port is silent');
  });
});

class AddressesOnly {
  current: readonly string[];

  constructor(addresses: readonly string[]) {
    this.current = addresses;
  }

  addresses(): readonly string[] {
    return this.current;
  }

  async handle(): Promise<void> {}
}
