import ByteText
import Crypto
import TestSupport
import Testing

@testable import Seal

/// Published vectors, from two implementations.
@Suite("Published vectors of Noise") struct VectorTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var fields: [String: String] = [:]
        var messages: [(payload: [UInt8], message: [UInt8])] = []

        var testDescription: String { "\(fields["source"] ?? "") \(fields["protocol"] ?? "")" }

        func bytes(_ name: String) throws -> [UInt8] { try #require(Base16.decoded(fields[name] ?? "")) }
    }

    static func vectors() throws -> [Vector] {
        var vectors: [Vector] = []
        for line in try Fixture.text("noise/vectors.txt").split(separator: "\n") where !line.hasPrefix("#") {
            let words = line.split(separator: " ").map(String.init)
            if words[0] == "source" { vectors.append(Vector()) }
            if words[0] == "message" {
                let bytes = try words.dropFirst().map { try #require(Base16.decoded($0 == "-" ? "" : $0)) }
                vectors[vectors.count - 1].messages.append((bytes[0], bytes[1]))
            } else {
                vectors[vectors.count - 1].fields[words[0]] = words[1]
            }
        }
        return vectors
    }

    @Test("each vector gives these bytes, whichever end is ours, and is read by the other end")
    func vectors() throws {
        let vectors = try Self.vectors()
        for pattern in HandshakePattern.allCases {
            #expect(vectors.count { $0.fields["protocol"] == pattern.protocolName } == 5)
        }
        for vector in vectors { try check(vector) }
    }

    private func check(_ vector: Vector) throws {
        var setup = Setup(resumes: vector.fields["protocol"] == HandshakePattern.nnPSK0.protocolName)
        setup.psk = SymmetricKey(data: try vector.bytes("psk"))
        setup.prologue = try vector.bytes("prologue")
        if !setup.resumes { setup.server = try #require(ServerKey(rawRepresentation: vector.bytes("static"))) }
        setup.ephemerals = (
            try .init(rawRepresentation: vector.bytes("initiator-ephemeral")),
            try .init(rawRepresentation: vector.bytes("responder-ephemeral"))
        )
        let ends = [setup.client(), setup.serving()]
        for (index, expected) in vector.messages.enumerated() {
            let (writer, reader) = (ends[index % 2], ends[(index + 1) % 2])
            let isHandshake = index < 2
            if index == 2 { for end in ends { try end.split() } }
            let message = try isHandshake ? writer.write(expected.payload) : writer.seal(expected.payload)
            #expect(message == expected.message, "\(vector.testDescription), message \(index)")
            let payload = try isHandshake ? reader.read(message) : reader.open(message)
            #expect(payload == expected.payload, "\(vector.testDescription), message \(index)")
        }
        #expect(ends[0].hash == ends[1].hash)
        if let hash = vector.fields["first-hash"] {
            let party = setup.resumes ? HandshakeState.Party.resumingClient : .client(of: setup.server.publicKey)
            var exchange = HandshakeState.Exchange(
                party,
                psk: setup.psk,
                prologue: setup.prologue,
                ephemeral: setup.ephemerals?.client
            )
            #expect(try exchange.write(vector.messages[0].payload) == vector.messages[0].message)
            #expect(exchange.symmetric.hash == Base16.decoded(hash), "\(vector.testDescription)")
        }
    }
}
