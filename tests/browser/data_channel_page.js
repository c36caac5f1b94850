// The joiner's side of a data channel, as a page has it: an offer, then a stream of bytes.

let connection,
  channel,
  received = [],
  size = 0,
  ended = false,
  wake = () => {};

export async function offer(label, protocol, servers) {
  connection = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: servers.length ? "relay" : "all" });
  channel = connection.createDataChannel(label, { protocol });
  channel.binaryType = "arraybuffer";
  channel.bufferedAmountLowThreshold = 1 << 16;
  channel.onmessage = ({ data }) => {
    received.push(new Uint8Array(data));
    size += data.byteLength;
    wake();
  };
  channel.onclose = () => {
    ended = true;
    wake();
  };
  await connection.setLocalDescription();
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => (connection.onicegatheringstatechange = resolve));
  }
  return connection.localDescription.sdp;
}

export async function accept(sdp) {
  await connection.setRemoteDescription({ type: "answer", sdp });
  if (channel.readyState !== "open") {
    await new Promise((resolve, reject) => {
      channel.onopen = resolve;
      channel.onerror = reject;
    });
  }
}

// Sends `count` bytes in messages of `chunk` bytes; every byte is its position modulo 251.
export async function send(count, chunk) {
  for (let start = 0; start < count; start += chunk) {
    if (channel.bufferedAmount > 1 << 20) {
      await new Promise((resolve) => (channel.onbufferedamountlow = resolve));
    }
    channel.send(Uint8Array.from({ length: Math.min(chunk, count - start) }, (_, index) => (start + index) % 251));
  }
}

// Waits for `count` bytes and says whether they are what `send` would have sent; null at the end of the channel.
export async function receive(count) {
  while (size < count) {
    if (ended) return null;
    await new Promise((resolve) => (wake = resolve));
  }
  let position = 0;
  let right = true;
  for (const part of received) {
    for (const byte of part) right &&= byte === position++ % 251;
  }
  received = [];
  size = 0;
  return right && position === count;
}

export async function end() {
  while (!ended) await new Promise((resolve) => (wake = resolve));
}

export function close() {
  connection.close();
}

export function text() {
  channel.send("text");
}
