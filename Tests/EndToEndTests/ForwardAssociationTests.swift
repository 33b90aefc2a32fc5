import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `-D` with UDP ASSOCIATE.
    @Suite(.serialized)
    struct ForwardAssociationTests {
        /// A program's SOCKS connection with its relay.
        private struct Association {
            let control: TCPSocket
            let relay: UInt16

            init(socks port: UInt16) throws {
                control = try TCPSocket(port: port)
                try control.send([5, 1, 0])
                try require(try control.receive(exactly: 2) == [5, 0], "no method")
                try control.send([5, 3, 0, 1, 0, 0, 0, 0, 0, 0])
                let reply = try control.receive(exactly: 10)
                try require(Array(reply.prefix(8)) == [5, 0, 0, 1, 127, 0, 0, 1], "\(reply)")
                relay = UInt16(reply[8]) << 8 | UInt16(reply[9])
            }
        }

        private static func header(_ name: String, _ port: UInt16) -> [UInt8] {
            [0, 0, 0, 3, UInt8(name.utf8.count)] + name.utf8 + [UInt8(port >> 8), UInt8(port & 0xff)]
        }

        private static func header(_ address: [UInt8], _ port: UInt16) -> [UInt8] {
            [0, 0, 0, 1] + address + [UInt8(port >> 8), UInt8(port & 0xff)]
        }

        @Test("Datagrams of one program reach several destinations, and each reply names the one that it comes from")
        func destinations() async throws {
            try await Scenario.run { scenario in
                let services = try (0..<3).map { _ in try UDPSocket() }
                let server = try await scenario.server(allowing: services.map { "localhost:\($0.port)" })
                let client = try scenario.client(server.url, [], options: ["-D", "0"])
                let port = try await client.socks()
                _ = try await client.process.logLine { $0.contains("session opened") }
                try await onThread {
                    let association = try Association(socks: port)
                    let program = try UDPSocket()
                    for (number, service) in services.enumerated() {
                        let header =
                            number == 0
                            ? Self.header([127, 0, 0, 1], service.port) : Self.header("localhost", service.port)
                        for size in [0, 1_200] {
                            let bytes = randomBytes(size)
                            try program.send(header + bytes, to: association.relay)
                            let asked = try service.receive()
                            try require(asked.bytes == bytes, "\(asked.bytes.count) bytes for \(size)")
                            try service.send(bytes + [1], to: asked.port)
                            let answer = try program.receive()
                            try require(answer.bytes == header + bytes + [1], "\(answer.bytes.prefix(30))")
                            try require(answer.port == association.relay, "the answer comes from \(answer.port)")
                        }
                    }
                    association.control.close()
                }
                try await eventually("the flows end with their connection") {
                    client.process.errors.lines.count { $0.contains("stream ended") && $0.contains("kind=udp") } == 3
                }
            }
        }

        @Test("A relay ignores other senders, fragments and bytes without a header, and refuses what has no rule")
        func strangers() async throws {
            try await Scenario.run { scenario in
                let (service, other) = (try UDPSocket(), try UDPSocket())
                let server = try await scenario.server(allowing: ["127.0.0.1:\(service.port)"])
                let client = try scenario.client(server.url, [], options: ["-D", "0"])
                let port = try await client.socks()
                _ = try await client.process.logLine { $0.contains("session opened") }
                let allowed = Self.header([127, 0, 0, 1], service.port)
                try await onThread {
                    let association = try Association(socks: port)
                    let program = try UDPSocket()
                    try program.send([1, 2, 3], to: association.relay)
                    try program.send([0, 0, 1] + allowed.dropFirst(3) + [9], to: association.relay)
                    try program.send(allowed + [1], to: association.relay)
                    try require(try service.receive().bytes == [1], "something else has come")
                    try UDPSocket().send(allowed + [2], to: association.relay)
                    try UDPSocket(address: "127.0.0.2").send(allowed + [3], to: association.relay)
                    try program.send(Self.header([127, 0, 0, 1], other.port) + [4], to: association.relay)
                    try program.send(allowed + [5], to: association.relay)
                    try require(try service.receive().bytes == [5], "a stranger's datagram has come")
                }
                let line = try await server.process.logLine { $0.contains("destination refused") }
                expect(line, says: "127.0.0.1:\(other.port)", "allow_connect does not list it")
            }
        }

        @Test("A relay is closed with its connection, and many of them leak nothing")
        func closed() async throws {
            try await Scenario.run { scenario in
                let server = try await scenario.server(allowing: ["127.0.0.1:9"])
                let client = try scenario.client(server.url, [], options: ["-D", "0"])
                let port = try await client.socks()
                // The port is there before the session, whose socket counts too.
                _ = try await client.process.logLine { $0.contains("session opened") }
                let before = try await settledDescriptors([client.process])
                try await onThread {
                    for _ in 0..<50 {
                        let association = try Association(socks: port)
                        try UDPSocket().send(Self.header([127, 0, 0, 1], 9) + [1], to: association.relay)
                        association.control.close()
                    }
                }
                try await eventually("all sockets are closed") { descriptors([client.process]) == before }
            }
        }
    }
}
