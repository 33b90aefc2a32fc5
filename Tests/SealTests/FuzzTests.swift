import Crypto
import NIOCore
import TestSupport
import Testing

@testable import Seal

/// Seeded mutations of valid messages. An end never traps: it reads the right payload or throws one typed error.
@Suite("Mutated messages") struct SealFuzzTests {
    @Test("a mutated handshake gives the right payloads or an error")
    func handshakes() throws {
        var random = Fuzzing.generator(1)
        let end = ContinuousClock.now + Fuzzing.time
        var (read, refused) = (0, 0)
        repeat {
            let setup = Setup(resumes: .random(using: &random))
            let (client, server) = (setup.client(), setup.serving())
            let payloads = (0..<2).map { _ in randomBytes(Int.random(in: 0...64, using: &random)) }
            do {
                let first = Fuzzing.mutate(try client.write(payloads[0]), &random)
                try require(server.read(first) == payloads[0], "another first payload")
                let second = Fuzzing.mutate(try server.write(payloads[1]), &random)
                try require(client.read(second) == payloads[1], "another second payload")
                try client.split()
                try server.split()
                try require(server.open(client.seal([1])) == [1], "other keys")
                read += 1
            } catch is NoiseError {
                refused += 1
            }
        } while ContinuousClock.now < end
        #expect(read > 0 && refused > 0)
    }

    @Test("a mutated carrier gives the right messages in order, up to an error after which nothing is read")
    func carriers() throws {
        var random = Fuzzing.generator(2)
        let end = ContinuousClock.now + Fuzzing.time
        var (read, refused) = (0, 0)
        repeat {
            let key = SymmetricKey(size: .bits256)
            // Often over the replacement of the key.
            let start = Bool.random(using: &random) ? 0 : MessageKey.interval - UInt64.random(in: 0...4, using: &random)
            var sealer = Sealer(CipherState(key: key, nonce: start))
            var opener = Opener(CipherState(key: key, nonce: start))
            let plaintexts = (0..<8).map { _ in randomBytes(Int.random(in: 0...40, using: &random)) }
            var messages: [[UInt8]] = []
            for plaintext in plaintexts {
                var buffer = ByteBuffer(bytes: plaintext)
                try sealer.seal(&buffer)
                messages.append(Array(buffer.readableBytesView))
            }
            let index = Int.random(in: messages.indices, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: messages.swapAt(index, Int.random(in: messages.indices, using: &random))
            case 1: messages.remove(at: index)
            case 2: messages.insert(messages[index], at: Int.random(in: messages.indices, using: &random))
            case 3: messages[index] = Fuzzing.mutate(messages[index], &random)
            default: messages = Fuzzing.cut(messages.flatMap { $0 }, &random)
            }
            var opened: [[UInt8]] = []
            var hasFailed = false
            for message in messages {
                var buffer = ByteBuffer(bytes: message)
                do {
                    try opener.open(&buffer)
                    try require(!hasFailed, "a message after a failure")
                    opened.append(Array(buffer.readableBytesView))
                    read += 1
                } catch is NoiseError {
                    hasFailed = true
                    refused += 1
                }
            }
            try require(opened.elementsEqual(plaintexts.prefix(opened.count)), "another message")
        } while ContinuousClock.now < end
        #expect(read > 0 && refused > 0)
    }
}
