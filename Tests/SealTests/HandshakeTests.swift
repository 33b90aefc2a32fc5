import Crypto
import TestSupport
import Testing

@testable import Seal

/// A handshake in the hands of an attacker, and in those of a careless caller.
@Suite("The handshake of a sealed carrier") struct HandshakeTests {
    static let setups = [Setup(), Setup(resumes: true)]

    @Test(
        "payloads of all kinds arrive, both ends get the same keys, and two handshakes share nothing",
        arguments: [false, true]
    )
    func agreement(resumes: Bool) throws {
        let setup = Setup(resumes: resumes)
        let sizes = [0, 1, 15, 16, 17, 4_096, HandshakeState.longestPayload]
        var hashes: Set<[UInt8]> = []
        for size in sizes {
            let (client, server) = (setup.client(), setup.serving())
            let payloads = (randomBytes(size), randomBytes(size))
            #expect(!client.isComplete && !server.isComplete)
            #expect(try server.read(client.write(payloads.0)) == payloads.0)
            #expect(try client.read(server.write(payloads.1)) == payloads.1)
            #expect(client.isComplete && server.isComplete)
            try client.split()
            try server.split()
            #expect(client.hash == server.hash && client.hash.count == 32)
            #expect(client.resumptionSecret == server.resumptionSecret)
            #expect(client.resumptionSecret?.bitCount == 256)
            hashes.insert(client.hash)
            hashes.insert(client.resumptionSecret?.bytes ?? [])
            #expect(try server.open(client.seal(payloads.0.suffix(100))) == payloads.0.suffix(100))
            #expect(try client.open(server.seal(payloads.1.suffix(100))) == payloads.1.suffix(100))
        }
        #expect(hashes.count == sizes.count * 2)
    }

    @Test("a message shows neither its payload nor a name, only its length")
    func hidden() throws {
        let name = Array("the name of the client".utf8)
        for setup in Self.setups {
            let (client, server) = (setup.client(), setup.serving())
            let first = try client.write(name)
            #expect(first.count == name.count + HandshakeState.overhead)
            _ = try server.read(first)
            let second = try server.write(name)
            #expect(second.count == name.count + HandshakeState.overhead)
            for message in [first, second] { #expect(message.firstRange(of: name) == nil) }
        }
    }

    @Test("each bit of each message counts: one flipped bit fails the read of that message, and the keys are gone")
    func flips() throws {
        for setup in Self.setups {
            let payload = Array("payload".utf8)
            let first = try setup.client().write(payload)
            for index in first.indices {
                for bit in index % 8 == 0 || index == 31 ? 0..<8 : index % 8..<(index % 8 + 1) {
                    var altered = first
                    altered[index] ^= 1 << UInt8(bit)
                    let server = setup.serving()
                    #expect(failure { _ = try server.read(altered) } == .authentication, "byte \(index)")
                    #expect(failure { _ = try server.read(first) } == .ended)
                    #expect(failure { _ = try server.write() } == .ended)
                    #expect(failure { try server.split() } == .ended)
                }
            }
            for index in 0..<(payload.count + HandshakeState.overhead) {
                let (client, server) = (setup.client(), setup.serving())
                _ = try server.read(client.write())
                let second = try server.write(payload)
                var altered = second
                altered[index] ^= 1 << UInt8(index % 8)
                #expect(failure { _ = try client.read(altered) } == .authentication, "byte \(index)")
                #expect(failure { _ = try client.read(second) } == .ended)
                #expect(failure { try client.split() } == .ended)
            }
        }
    }

    @Test("a message cut at any length, with a byte more, or beyond 65,535 bytes is refused")
    func lengths() throws {
        let overhead = HandshakeState.overhead
        for setup in Self.setups {
            let first = try setup.client().write([1, 2, 3])
            let wrong = first.indices.map { Array(first[..<$0]) } + [first + [0]]
            for message in wrong {
                let server = setup.serving()
                let expected = message.count < overhead ? NoiseError.length(message.count) : .authentication
                #expect(failure { _ = try server.read(message) } == expected, "\(message.count) bytes")
            }
            for index in 0..<(overhead + 3) {
                let (client, server) = (setup.client(), setup.serving())
                _ = try server.read(client.write())
                let message = Array(try server.write([1, 2, 3]).prefix(index))
                let expected = index < overhead ? NoiseError.length(index) : .authentication
                #expect(failure { _ = try client.read(message) } == expected, "\(index) bytes")
            }
            let longest = [UInt8](repeating: 7, count: HandshakeState.longestPayload)
            #expect(try setup.client().write(longest).count == 65_535)
            #expect(failure { _ = try setup.client().write(longest + [7]) } == .length(longest.count + 1))
            let (most, over) = ([UInt8](repeating: 7, count: 65_535), [UInt8](repeating: 7, count: 65_536))
            #expect(failure { _ = try setup.serving().read(most) } == .authentication)
            #expect(failure { _ = try setup.serving().read(over) } == .length(65_536))
        }
    }

    @Test("another psk, server key, prologue or pattern fails the server's read of the first message")
    func disagreement() throws {
        for setup in Self.setups {
            var others: [(String, Setup)] = []
            func other(_ name: String, _ change: (inout Setup) -> Void) {
                var other = setup
                change(&other)
                others.append((name, other))
            }
            other("psk") { $0.psk = SymmetricKey(size: .bits256) }
            other("prologue") { $0.prologue.append(0) }
            other("no prologue") { $0.prologue = [] }
            other("pattern") { $0.resumes.toggle() }
            if !setup.resumes { other("server key") { $0.pinned = ServerKey().publicKey } }
            for (name, other) in others {
                let first = try other.client().write()
                #expect(failure { _ = try setup.serving().read(first) } == .authentication, "\(name)")
            }
            // An attacker that has the psk but not the server's key cannot answer for the server.
            guard !setup.resumes else { continue }
            var impostor = setup
            impostor.server = ServerKey()
            let client = setup.client()
            let first = try client.write()
            #expect(failure { _ = try impostor.serving().read(first) } == .authentication)
        }
    }

    @Test("an end that gets its own message back, or the other's in place of an answer, refuses it")
    func swappedRoles() throws {
        for setup in Self.setups {
            let (client, server, second) = (setup.client(), setup.serving(), setup.client())
            let first = try client.write()
            #expect(failure { _ = try client.read(first) } == .authentication)
            // Two clients that are connected to each other.
            #expect(failure { _ = try second.read(first) } == .outOfTurn)
            #expect(failure { _ = try second.read(setup.client().write()) } == .outOfTurn)
            // A server that gets its own answer as a first message.
            _ = try server.read(first)
            let answer = try server.write()
            #expect(failure { _ = try setup.serving().read(answer) } == .authentication)
        }
    }

    @Test("a repeated first message is read, but gives other keys, so nothing of the first carrier fits")
    func replay() throws {
        for setup in Self.setups {
            let (client, server, again) = (setup.client(), setup.serving(), setup.serving())
            let first = try client.write([1])
            #expect(try server.read(first) == [1])
            #expect(try again.read(first) == [1])
            let (answer, other) = (try server.write(), try again.write())
            #expect(answer != other)
            _ = try client.read(answer)
            for end in [client, server, again] { try end.split() }
            #expect(server.hash != again.hash && server.resumptionSecret != again.resumptionSecret)
            let message = try client.seal([2])
            #expect(failure { _ = try again.open(message) } == .authentication)
            #expect(try server.open(message) == [2])
        }
    }

    @Test("the answer of another handshake is refused")
    func crossedAnswers() throws {
        for setup in Self.setups {
            let (client, other, server) = (setup.client(), setup.client(), setup.serving())
            _ = try client.write()
            _ = try server.read(other.write())
            let answer = try server.write()
            #expect(failure { _ = try client.read(answer) } == .authentication)
        }
    }

    @Test("a call out of turn is refused, and changes nothing")
    func turns() throws {
        for setup in Self.setups {
            let (client, server) = (setup.client(), setup.serving())
            #expect(failure { _ = try server.write() } == .outOfTurn)
            #expect(failure { _ = try client.read([UInt8](repeating: 0, count: 48)) } == .outOfTurn)
            let first = try client.write()
            #expect(failure { _ = try client.write() } == .outOfTurn)
            _ = try server.read(first)
            #expect(failure { _ = try server.read(first) } == .outOfTurn)
            let second = try server.write()
            #expect(failure { _ = try server.write() } == .outOfTurn)
            _ = try client.read(second)
            #expect(failure { _ = try client.read(second) } == .outOfTurn)
            #expect(failure { _ = try client.write() } == .outOfTurn)
            try client.split()
            try server.split()
            #expect(try server.open(client.seal([1])) == [1])
        }
        #expect(failure { try Setup().client().split() } == .outOfTurn)
        #expect(failure { try Setup().serving().split() } == .outOfTurn)
    }

    @Test("the resumption secret of one handshake is the psk of the next, and differs from all its other keys")
    func resumption() throws {
        let (client, server) = try Setup().connected()
        var next = Setup(resumes: true)
        next.psk = try #require(client.resumptionSecret)
        let (second, third) = (next.client(), next.serving())
        _ = try third.read(second.write())
        _ = try second.read(third.write())
        var symmetric = SymmetricState(protocolName: HandshakePattern.nnPSK0.protocolName)
        symmetric.mixKey(SymmetricKey(size: .bits256))
        #expect(symmetric.export("a") == symmetric.export("a"))
        #expect(symmetric.export("a") != symmetric.export("b"))
        #expect(server.resumptionSecret == client.resumptionSecret)
    }
}
