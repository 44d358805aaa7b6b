/**
 * A process of its own that does one thing: it loads llama.cpp's binary as the engine would, says on which processor, and
 * ends. When the binary is missing, broken or made for another machine, this process tells it or dies, and whoever started
 * it lives on. Started by `doctor-probes.io.ts`; never builds and never downloads.
 */
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const llama = await getLlama({
  build: 'never',
  skipDownload: true,
  gpu: 'auto',
  logLevel: LlamaLogLevel.disabled,
  progressLogs: false,
});
process.stdout.write(llama.gpu === false ? 'on the processor' : `on ${llama.gpu}`);
await llama.dispose();
