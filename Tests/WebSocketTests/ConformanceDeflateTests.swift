import HTTP1
import NIOCore
import TestSupport
import Testing

@testable import WebSocket

/// Sections 12 and 13 of the Autobahn|Testsuite, reduced. Messages of many sizes and kinds travel in both directions,
/// whole and in fragments, with all combinations of parameters. The tests generate data like the suite's.
@Suite struct ConformanceDeflateTests {
    /// Kinds of data as in the suite: JSON, a picture, prose, HTML, and compressed data.
    enum Corpus: String, CaseIterable, Sendable {
        case json, picture, prose, markup, noise

        func bytes(_ count: Int) -> [UInt8] {
            var random = SplitMix64(state: UInt64(rawValue.utf8.count))
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count + 64)
            while bytes.count < count {
                let number = Int.random(in: 0..<1_000, using: &random)
                switch self {
                case .json: bytes += Array("{\"id\":\(bytes.count),\"grün\":[\(number),true]},".utf8)
                case .picture: bytes += (0..<16).map { UInt8(truncatingIfNeeded: number / 8 + $0) }
                case .prose: bytes += Array(["Habe ", "nun, ", "ach! ", "Philosophie, "][number % 4].utf8)
                case .markup: bytes += Array("<tr class=\"c\(number % 3)\"><td>\(number)</td></tr>\n".utf8)
                case .noise: bytes.append(UInt8(truncatingIfNeeded: random.next()))
                }
            }
            return Array(bytes.prefix(count))
        }
    }

    /// The seven columns of section 13: the client's requests and the server's decisions.
    static let parameters: [(number: Int, noContextTakeover: Bool, bits: Int)] = [
        (1, false, 15), (2, true, 15), (3, false, 9), (4, false, 15), (5, true, 9), (6, true, 15), (7, true, 12),
    ]

    @Test("Autobahn 12: kinds of data of every size, in both directions", arguments: Corpus.allCases)
    func kinds(corpus: Corpus) throws {
        for length in [0, 16, 64, 256, 1_024, 4_096, 8_192, 32_768, 131_072] {
            for fragment in [0, 256, 32_768] where fragment < length {
                try Self.exchange(corpus, length, fragment, noContextTakeover: false, bits: 15, bits: 15)
            }
        }
    }

    @Test("Autobahn 13: every combination of parameters", arguments: parameters)
    func combinations(row: (number: Int, noContextTakeover: Bool, bits: Int)) throws {
        for (server, client) in [(row.bits, 15), (15, row.bits), (row.bits, row.bits)] {
            for length in [16, 1_024, 16_384, 65_536] {
                for fragment in [0, 1_024] where fragment < length {
                    try Self.exchange(
                        .json,
                        length,
                        fragment,
                        noContextTakeover: row.noContextTakeover,
                        bits: server,
                        bits: client
                    )
                }
            }
        }
    }

    /// Negotiates, sends a few messages in both directions, and compares them.
    static func exchange(
        _ corpus: Corpus,
        _ length: Int,
        _ fragment: Int,
        noContextTakeover: Bool,
        bits serverBits: Int,
        bits clientBits: Int
    ) throws {
        var options = DeflateOptions()
        options.serverNoContextTakeover = noContextTakeover
        options.clientNoContextTakeover = noContextTakeover
        options.serverMaxWindowBits = serverBits
        options.clientMaxWindowBits = clientBits
        let (server, client) = try Self.negotiate(options)
        #expect(server == client)
        for role in [WebSocketRole.server, .client] {
            var sender = Connection(role: role, limits: .unlimited, deflate: server)
            let other: WebSocketRole = role == .server ? .client : .server
            var receiver = Connection(role: other, limits: .unlimited, deflate: client)
            let count = length > 10_000 ? 2 : 4
            let messages = corpus.bytes(length * count)
            for index in 0..<count {
                let message = Array(messages[index * length..<(index + 1) * length])
                var wire = ByteBuffer()
                try sender.encodeMessage(.binary, payload: buffer(message), into: &wire)
                if length > 1_000, corpus != .noise { #expect(wire.readableBytes < length * 3 / 4) }
                let bytes = refragmented(Array(wire.readableBytesView), size: fragment)
                var outcome = Outcome()
                for chunk in chop(bytes, 4_093) {
                    receiver.receive(buffer(chunk))
                    receiver.drain(into: &outcome)
                }
                #expect(outcome == Outcome(events: [binary(message)]), "\(corpus) \(length) in \(fragment)")
            }
        }
    }

    /// Performs the handshake with options at both ends and returns both agreements.
    static func negotiate(_ options: DeflateOptions) throws -> (server: DeflateAgreement, client: DeflateAgreement) {
        let upgrade = try ClientUpgrade(authority: "h", path: "/", deflate: options)
        let answer = ServerUpgrade(path: "/", deflate: options).answer(try upgrade.request(), hasLeftovers: false)
        guard case .accept(let head, let agreement) = answer else { throw Refused() }
        return (try #require(agreement.deflate), try #require(try upgrade.verify(head).deflate))
    }

    struct Refused: Error {}

    /// Splits a frame into fragments of `size` bytes of payload; 0 leaves it whole.
    static func refragmented(_ frame: [UInt8], size: Int) -> [UInt8] {
        guard size > 0, frame.count > 14 else { return frame }
        let isMasked = frame[1] & 0x80 != 0
        let lengthBytes = frame[1] & 0x7F < 126 ? 2 : frame[1] & 0x7F == 126 ? 4 : 10
        let header = lengthBytes + (isMasked ? 4 : 0)
        var payload = Array(frame[header...])
        if isMasked { payload = naiveMask(payload, Array(frame[lengthBytes..<header])) }
        let parts = chop(payload, size)
        return parts.enumerated().flatMap { index, part in
            let first = (index == 0 ? frame[0] & 0x7F : 0x00) | (index == parts.count - 1 ? 0x80 : 0x00)
            return ConformanceCase.encode(.init(first: first, payload: part), masked: isMasked)
        }
    }
}
