import Crypto
import NIOCore
import TestSupport
import Testing

@testable import Seal

/// The messages of a sealed carrier, in the hands of an attacker.
@Suite("The messages of a sealed carrier") struct CarrierSealTests {
    private static let longest = Sealer.longestMessage

    /// A sealer and an opener of the same key, whose next message has this number.
    private struct Direction: ~Copyable {
        var sealer: Sealer
        var opener: Opener

        init(at count: UInt64, key: SymmetricKey = SymmetricKey(size: .bits256)) {
            sealer = Sealer(CipherState(key: key, nonce: count))
            opener = Opener(CipherState(key: key, nonce: count))
        }

        mutating func seal(_ plaintext: [UInt8]) throws -> [UInt8] {
            var buffer = ByteBuffer(bytes: plaintext)
            try sealer.seal(&buffer)
            return Array(buffer.readableBytesView)
        }

        mutating func open(_ message: [UInt8]) throws -> [UInt8] {
            var buffer = ByteBuffer(bytes: message)
            try opener.open(&buffer)
            return Array(buffer.readableBytesView)
        }
    }

    @Test("messages of all lengths arrive in both directions, 16 bytes longer on the way")
    func lengths() throws {
        let (client, server) = try Setup().connected()
        for count in Array(0...70) + [1_024, 16_384, 65_296, Self.longest - 1, Self.longest] {
            let plaintext = randomBytes(count)
            for (from, to) in [(client, server), (server, client)] {
                let message = try from.seal(plaintext)
                #expect(message.count == count + Sealer.overhead)
                #expect(count < 16 || message.firstRange(of: plaintext.suffix(16)) == nil)
                #expect(try to.open(message) == plaintext)
            }
        }
    }

    @Test("the same plaintext gives another message each time and in each direction")
    func noRepetition() throws {
        let (client, server) = try Setup().connected()
        let plaintext = [UInt8](repeating: 0, count: 64)
        let messages = try (0..<100).flatMap { _ in [try client.seal(plaintext), try server.seal(plaintext)] }
        #expect(Set(messages).count == messages.count)
    }

    @Test("a message one byte too long is not sealed, and the next one still is")
    func tooLong() throws {
        var direction = Direction(at: 0)
        var buffer = ByteBuffer(repeating: 1, count: Self.longest + 1)
        let before = buffer
        do {
            try direction.sealer.seal(&buffer)
            Issue.record("sealed")
        } catch {
            #expect(error == .length(Self.longest + 1))
        }
        #expect(buffer == before)
        let message = try direction.seal([1])
        #expect(try direction.open(message) == [1])
    }

    @Test("bytes before the message stay as they are, and a copy of the buffer keeps the plaintext")
    func inPlace() throws {
        var direction = Direction(at: 0)
        let plaintext = randomBytes(1_000)
        var buffer = ByteBuffer(bytes: [9, 8, 7, 6])
        buffer.moveReaderIndex(forwardBy: 1)
        buffer.writeBytes(plaintext)
        let copy = buffer
        try direction.sealer.seal(&buffer, from: 4)
        #expect(Array(copy.readableBytesView) == [8, 7, 6] + plaintext)
        #expect(buffer.readInteger(as: UInt16.self) == 0x0807)
        #expect(buffer.readInteger(as: UInt8.self) == 6)
        #expect(buffer.readableBytes == 1_016)
        let sealed = buffer
        try direction.opener.open(&buffer)
        #expect(Array(buffer.readableBytesView) == plaintext)
        #expect(sealed.readableBytes == 1_016)
        #expect(Array(sealed.readableBytesView.prefix(1_000)) != plaintext)
    }

    @Test("each byte of a message counts: altered, it is refused, and the buffer keeps what it had")
    func altered() throws {
        let key = SymmetricKey(size: .bits256)
        var sealing = Direction(at: 0, key: key)
        let message = try sealing.seal(randomBytes(40))
        for index in message.indices {
            for change in [UInt8(1), 0x80, 0xFF] {
                var altered = message
                altered[index] ^= change
                var buffer = ByteBuffer(bytes: altered)
                var direction = Direction(at: 0, key: key)
                do {
                    try direction.opener.open(&buffer)
                    Issue.record("opened, byte \(index)")
                } catch {
                    #expect(error == .authentication)
                }
                #expect(Array(buffer.readableBytesView) == altered)
            }
        }
    }

    @Test("cut at any length, or with bytes more, a message is refused")
    func cut() throws {
        let key = SymmetricKey(size: .bits256)
        var sealing = Direction(at: 0, key: key)
        let message = try sealing.seal(randomBytes(40))
        for count in 0..<message.count {
            for cut in [message.prefix(count), message.suffix(count)] {
                var direction = Direction(at: 0, key: key)
                let error = failure { _ = try direction.open(Array(cut)) }
                #expect(error == (count < Sealer.overhead ? .length(count) : .authentication), "\(count) bytes")
            }
        }
        for more in [message + [0], [0] + message, message + message] {
            var direction = Direction(at: 0, key: key)
            #expect(failure { _ = try direction.open(more) } == .authentication)
        }
        for (count, expected) in [(65_535, NoiseError.authentication), (65_536, .length(65_536))] {
            var direction = Direction(at: 0, key: key)
            #expect(failure { _ = try direction.open([UInt8](repeating: 0, count: count)) } == expected)
        }
    }

    /// Orders in which an attacker delivers messages. Only the last one of each is out of place.
    static let orders: [[Int]] = [[0, 0], [0, 1, 2, 0], [0, 1, 2, 2], [1], [0, 2], [4], [0, 4], [0, 1, 2, 4]]

    @Test("a message repeated, dropped or moved is refused", arguments: orders)
    func order(order: [Int]) throws {
        let (client, server) = try Setup().connected()
        let messages = try (0..<5).map { try client.seal([UInt8($0)]) }
        for number in order.dropLast() { #expect(try server.open(messages[number]) == [UInt8(number)]) }
        let last = try #require(order.last)
        #expect(failure { _ = try server.open(messages[last]) } == .authentication)
        for message in messages { #expect(failure { _ = try server.open(message) } == .ended) }
    }

    @Test("an opener that failed once refuses also the right message, for ever")
    func failedForEver() throws {
        for wrong in [[UInt8](), [UInt8](repeating: 0, count: 16), [UInt8](repeating: 0, count: 65_536)] {
            let (client, server) = try Setup().connected()
            let messages = try (0..<3).map { try client.seal([UInt8($0)]) }
            #expect(failure { _ = try server.open(wrong) } != nil)
            for message in messages { #expect(failure { _ = try server.open(message) } == .ended) }
            // The other direction has its own key.
            #expect(try client.open(server.seal([1])) == [1])
        }
    }

    @Test("an end does not open its own messages, nor those of another carrier")
    func otherKeys() throws {
        let setup = Setup()
        let (client, server) = try setup.connected()
        let other = try setup.connected()
        let message = try client.seal([1])
        #expect(failure { _ = try client.open(message) } == .authentication)
        #expect(failure { _ = try other.server.open(message) } == .authentication)
        #expect(try server.open(message) == [1])
    }

    @Test("the 65,536th message is the last with a key: both ends replace it then, and the numbers go on")
    func rekey() throws {
        let key = SymmetricKey(size: .bits256)
        let interval = MessageKey.interval
        #expect(interval == 65_536)
        for boundary in [interval, 2 * interval, 1_000_000 * interval] {
            // Noise's own cipher without the count, as a reference.
            var (old, new) = (CipherState(key: key, nonce: boundary - 1), CipherState(key: key, nonce: boundary))
            try new.rekey()
            var direction = Direction(at: boundary - 1, key: key)
            let (before, after) = (try direction.seal([1]), try direction.seal([2]))
            #expect(before == (try old.encrypt([1], authenticating: [])))
            #expect(after == (try new.encrypt([2], authenticating: [])))
            #expect(after != (try old.encrypt([2], authenticating: [])))
            #expect(try direction.open(before) == [1])
            #expect(try direction.open(after) == [2])
            #expect(direction.sealer.count == boundary + 1)
            // One that replaces the key a message late or early fails at once.
            var late = old
            #expect(failure { _ = try late.decrypt(after, authenticating: []) } == .authentication)
            var early = CipherState(key: key, nonce: boundary - 1)
            try early.rekey()
            #expect(failure { _ = try early.decrypt(before, authenticating: []) } == .authentication)
        }
    }

    @Test("65,537 messages from the handshake on, and the last of them has another key")
    func rekeyFromTheBeginning() throws {
        var direction = Direction(at: 0)
        var buffer = ByteBuffer()
        for number in 0...UInt32(MessageKey.interval) {
            buffer.clear()
            buffer.writeInteger(number)
            try direction.sealer.seal(&buffer)
            try direction.opener.open(&buffer)
            guard buffer.readInteger(as: UInt32.self) == number, buffer.readableBytes == 0 else {
                Issue.record("message \(number)")
                return
            }
        }
        #expect(direction.sealer.count == MessageKey.interval + 1)
    }

    @Test("the number before the largest is the last: then nothing is sealed or opened any more, and nothing traps")
    func exhaustion() throws {
        let key = SymmetricKey(size: .bits256)
        var direction = Direction(at: .max - 1, key: key)
        let last = try direction.seal([1])
        #expect(try direction.open(last) == [1])
        for _ in 0..<2 { #expect(failure { _ = try direction.seal([2]) } == .exhausted) }
        #expect(failure { _ = try direction.open(last) } == .exhausted)
        #expect(failure { _ = try direction.open(last) } == .ended)
        var cipher = CipherState(key: key, nonce: .max)
        #expect(failure { _ = try cipher.encrypt([], authenticating: []) } == .exhausted)
        #expect(failure { _ = try cipher.decrypt(last, authenticating: []) } == .exhausted)
    }

    @Test("an end of a handshake decrypts with the nonce unchanged after a failure, and never below a tag's length")
    func cipherState() throws {
        let key = SymmetricKey(size: .bits256)
        var (sealing, opening) = (CipherState(key: key), CipherState(key: key))
        let message = try sealing.encrypt([1, 2], authenticating: [3])
        #expect(failure { _ = try opening.decrypt(message, authenticating: [4]) } == .authentication)
        #expect(failure { _ = try opening.decrypt(message.prefix(15), authenticating: [3]) } == .length(15))
        #expect(opening.nonce == 0)
        #expect(try opening.decrypt(message, authenticating: [3]) == [1, 2])
        #expect(opening.nonce == 1)
    }

    @Test("before a handshake has a key, text travels as it is and is hashed")
    func noKey() throws {
        var (one, two) = (SymmetricState(protocolName: "short"), SymmetricState(protocolName: "short"))
        #expect(try one.encryptAndHash([1, 2]) == [1, 2])
        #expect(try two.decryptAndHash([1, 2]) == [1, 2])
        #expect(one.hash == two.hash)
        let long = SymmetricState(protocolName: String(repeating: "n", count: 33))
        #expect(long.hash == Array(SHA256.hash(data: [UInt8](repeating: UInt8(ascii: "n"), count: 33))))
    }
}
