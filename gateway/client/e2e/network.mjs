/**
 * A network that can be cut: a forward proxy for one browser context. Cutting destroys what is open and refuses what
 * is new, while the page keeps its real origin (the gateway compares it).
 */
import http from "node:http";
import net from "node:net";

export async function cuttableNetwork() {
  const open = new Set();
  let up = true;
  const track = (socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
  };
  const server = http.createServer((request, response) => {
    const onward = http.request(request.url, { method: request.method, headers: request.headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on("socket", track);
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  // WebSockets come as CONNECT: a tunnel of bytes.
  server.on("connect", (request, socket, head) => {
    const { hostname, port } = new URL(`http://${request.url}`);
    const onward = net.connect(Number(port || 80), hostname, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    track(onward);
    onward.on("close", () => socket.destroy());
    socket.on("close", () => onward.destroy());
  });
  server.on("connection", (socket) => {
    track(socket);
    if (!up) socket.destroy();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    proxy: { server: `http://127.0.0.1:${server.address().port}`, bypass: "<-loopback>" },
    cut() {
      up = false;
      for (const socket of open) socket.destroy();
    },
    restore() {
      up = true;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
