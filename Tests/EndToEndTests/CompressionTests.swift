import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// The option `--compress`: the same bytes at both ends, and fewer on the carrier.
    @Suite(.serialized)
    struct CompressionTests {
        @Test("Text takes less than a quarter of its bytes on the carrier with --compress, and all of them without")
        func textShrinks() async throws {
            let text = Array(String(repeating: "the same line of a log, again and again\n", count: 100_000).utf8)
            let plain = try await bytesWritten(carrying: text, options: [])
            let compressed = try await bytesWritten(carrying: text, options: ["--compress"])
            #expect(plain > text.count)
            #expect(compressed < text.count / 4)
        }

        @Test("Incompressible bytes arrive with less than 10 % overhead")
        func noiseArrives() async throws {
            let noise = randomBytes(2_000_000)
            let written = try await bytesWritten(carrying: noise, options: ["--compress"])
            #expect(written < noise.count + noise.count / 20 + 100_000)
        }

        /// Sends `bytes` from a service to a visitor, and checks them there. The visitor sends nothing, so the client
        /// writes only to the carrier.
        private func bytesWritten(carrying bytes: [UInt8], options: [String]) async throws -> Int {
            try await Scenario.run { scenario in
                let service = try TCPService { socket in
                    try socket.send(bytes)
                    try socket.finishSending()
                    _ = try socket.drain()
                }
                let server = try await scenario.server()
                let client = try scenario.client(server.url, ["0:127.0.0.1:\(service.port)"], options: options)
                let port = try await client.tunnel(to: service.port)
                let before = try client.process.writtenBytes
                let received = try await onThread {
                    let visitor = try TCPSocket(port: port)
                    try visitor.finishSending()
                    return try visitor.receiveToEnd()
                }
                #expect(received == bytes)
                return try client.process.writtenBytes - before
            }
        }
    }
}
