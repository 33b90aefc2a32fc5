import NIOCore
import Seal
import TestSupport
import Testing

@testable import TunnelCore

/// The messages of a sealed carrier as the WebSocket delivers them: whole, or in pieces.
@Suite("The messages of a sealed carrier, in pieces")
struct SealedMessagesTests {
    @Test("A message arrives whole, however it is cut in two")
    func everySplit() throws {
        let (client, server) = try SealPair.messages()
        let frame = randomBytes(40)
        for cut in 0...frame.count + Sealer.overhead {
            let message = try client.seal(frame)
            var first = try #require(message.getSlice(at: message.readerIndex, length: cut))
            let rest = message.readableBytes - cut
            var second = try #require(message.getSlice(at: message.readerIndex + cut, length: rest))
            #expect(try !server.open(&first, isLast: false), "cut at \(cut)")
            #expect(try server.open(&second, isLast: true), "cut at \(cut)")
            #expect(Array(second.readableBytesView) == frame, "cut at \(cut)")
        }
    }

    @Test("A message arrives whole in single bytes, also with an empty last piece")
    func singleBytes() throws {
        let (client, server) = try SealPair.messages()
        for hasEmptyEnd in [false, true] {
            let frame = randomBytes(100)
            let message = Array(try client.seal(frame).readableBytesView)
            var piece = ByteBuffer()
            for (index, byte) in message.enumerated() {
                piece = ByteBuffer(bytes: [byte])
                let isLast = index == message.count - 1 && !hasEmptyEnd
                #expect(try server.open(&piece, isLast: isLast) == isLast)
            }
            if hasEmptyEnd {
                piece = ByteBuffer()
                #expect(try server.open(&piece, isLast: true))
            }
            #expect(Array(piece.readableBytesView) == frame)
        }
    }

    @Test("Messages in pieces and whole ones take turns, and each is the next one")
    func mixed() throws {
        let (client, server) = try SealPair.messages()
        for round in 0..<50 {
            let frame = randomBytes(round * 7)
            var message = try client.seal(frame)
            if round.isMultiple(of: 2) {
                let slice = message.readSlice(length: round % 16)
                var first = try #require(slice)
                #expect(try !server.open(&first, isLast: false))
            }
            #expect(try server.open(&message, isLast: true))
            #expect(Array(message.readableBytesView) == frame)
        }
    }

    @Test("An altered message in pieces is refused at its end, and nothing of it comes out before")
    func alteredInPieces() throws {
        for cut in 0...41 {
            let (client, server) = try SealPair.messages()
            var bytes = Array(try client.seal(randomBytes(25)).readableBytesView)
            bytes[min(cut, bytes.count - 1)] ^= 1
            var (first, second) = (ByteBuffer(bytes: bytes.prefix(cut)), ByteBuffer(bytes: bytes.dropFirst(cut)))
            #expect(try !server.open(&first, isLast: false))
            #expect(throws: NoiseError.authentication) { try server.open(&second, isLast: true) }
            // The carrier is of no more use.
            let next = try client.seal([1])
            #expect(throws: NoiseError.ended) { try server.open(next) }
        }
    }

    @Test("An empty message, and those of 15 and 16 bytes of garbage, are refused")
    func short() throws {
        for (count, error) in [(0, NoiseError.length(0)), (1, .length(1)), (15, .length(15)), (16, .authentication)] {
            let (_, server) = try SealPair.messages()
            #expect(throws: error) { try server.open(ByteBuffer(repeating: 0, count: count)) }
        }
    }

    @Test("A sealed message without content opens to nothing")
    func withoutContent() throws {
        let (client, server) = try SealPair.messages()
        let message = try client.seal([])
        #expect(message.readableBytes == Sealer.overhead)
        #expect(try server.open(message).isEmpty)
        #expect(try server.open(client.seal([7])) == [7])
    }

    @Test("The longest message of Noise opens, whole and in pieces, and one byte more is refused before its end")
    func longest() throws {
        let (client, server) = try SealPair.messages()
        let frame = [UInt8](repeating: 9, count: Sealer.longestMessage)
        var whole = try client.seal(frame)
        #expect(whole.readableBytes == 65_535)
        #expect(try server.open(&whole, isLast: true))
        #expect(Array(whole.readableBytesView) == frame)
        var rest = try client.seal(frame)
        let slice = rest.readSlice(length: 65_534)
        var first = try #require(slice)
        #expect(try !server.open(&first, isLast: false))
        #expect(try server.open(&rest, isLast: true))
        #expect(Array(rest.readableBytesView) == frame)
        #expect(throws: NoiseError.length(65_520)) { try client.seal([UInt8](repeating: 9, count: 65_520)) }
        #expect(throws: NoiseError.length(65_536)) { try server.open(ByteBuffer(repeating: 0, count: 65_536)) }
    }

    @Test("What waits for the end of a message is bounded by the longest message, and refused as soon as it is longer")
    func bound() throws {
        for size in [1_000, 65_312, 65_535] {
            let (_, server) = try SealPair.messages()
            var taken = 0
            let error = #expect(throws: NoiseError.self) {
                while taken < 1_000_000 {
                    var piece = ByteBuffer(repeating: 0, count: size)
                    taken += size
                    _ = try server.open(&piece, isLast: false)
                }
            }
            guard case .length(let count) = error else {
                Issue.record("\(error as Any)")
                continue
            }
            #expect(count == taken && taken > 65_535 && taken - size <= 65_535)
        }
    }

    @Test("Empty pieces without an end cost nothing, and do not disturb the message")
    func emptyPieces() throws {
        let (client, server) = try SealPair.messages()
        for _ in 0..<10_000 {
            var piece = ByteBuffer()
            #expect(try !server.open(&piece, isLast: false))
        }
        #expect(try server.open(client.seal([1, 2, 3])) == [1, 2, 3])
    }

    @Test("A message that was returned stays as it is while the next ones are sealed")
    func storage() throws {
        let (client, server) = try SealPair.messages()
        let messages = try (0..<20).map { try client.seal([UInt8](repeating: UInt8($0), count: 500)) }
        for (index, message) in messages.enumerated() {
            #expect(try server.open(message) == [UInt8](repeating: UInt8(index), count: 500))
        }
    }

    @Test("Messages go both ways over changes of the keys, and each is the next one")
    func manyMessages() throws {
        let (client, server) = try SealPair.messages()
        // One change of the keys, or three.
        for number in 0..<UInt32(TestRun.isHeavy ? 200_000 : 65_600) {
            let frame = ByteBuffer(integer: number)
            for (from, to) in [(client, server), (server, client)] {
                var message = try from.seal(ByteBuffer(), frame)
                guard try to.open(&message, isLast: true), message.readInteger(as: UInt32.self) == number else {
                    Issue.record("message \(number)")
                    return
                }
            }
        }
        // A repetition of the last one is not the next one.
        let message = try client.seal([1])
        #expect(try server.open(message) == [1])
        #expect(throws: NoiseError.authentication) { try server.open(message) }
    }
}
