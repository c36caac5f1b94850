/** The global scope of audio worklets, which TypeScript's own library does not declare. */

declare const sampleRate: number;
declare const currentTime: number;
declare function registerProcessor(
    name: string,
    processor: new (options: AudioWorkletNodeOptions) => AudioWorkletProcessor,
): void;
declare abstract class AudioWorkletProcessor {
    readonly port: MessagePort;
    abstract process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
}
