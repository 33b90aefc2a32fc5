import NIOCore
import Seal
import TestSupport
import Testing

@testable import Mux

/// An end that holds the keys, and seals anything inside valid messages of the handshake.
@Suite("The content of sealed handshakes")
struct SealedContentTests {
    /// A message of the handshake whose content is changed before it is sealed.
    enum Step: String, CaseIterable {
        case authenticate = "AUTHENTICATE"
        case resume = "RESUME"
        case welcome = "WELCOME"
        case resumed = "RESUMED"
        case refused = "REFUSED in WELCOME"
        case resumeRefused = "REFUSED in RESUMED"

        var isAnswer: Bool { self != .authenticate && self != .resume }
        var isRefusal: Bool { self == .refused || self == .resumeRefused }
    }

    /// What an end makes of a message.
    enum Outcome: Equatable {
        case session
        case refused
        case notProved
        case error(MuxError.Kind)
    }

    typealias Keys = (client: SessionKeys, server: SessionKeys)

    private static func keys() throws -> Keys {
        let (grant, _, keys, _) = try SealedPair.established()
        return (grant.keys, keys)
    }

    /// Lets an end read the message with a changed content.
    private static func outcome(
        _ step: Step,
        _ keys: Keys,
        _ change: ([UInt8]) throws -> [UInt8]
    ) throws -> Outcome {
        var pair = try SealedPair()
        let challenge = pair.server.challengePayload
        do {
            switch step {
            case .authenticate:
                let token = try #require(HandshakePair.token)
                let frame = try SealedRequest.authenticate(
                    challenge,
                    prove: { token.proof(over: $0).bytes },
                    change: change
                )
                return try pair.verify(frame) == nil ? .notProved : .session
            case .resume:
                let frame = try SealedRequest.resume(challenge, keys.client, change: change)
                return try pair.verifyResume(frame, keys.server) == nil ? .notProved : .session
            case .welcome, .refused:
                let verified = try #require(try pair.verify(pair.answer()))
                let content = try verified.content(isRefused: step == .refused)
                let frame = try answer(change(content), in: .welcome, verified.handshake)
                if case .refused = try pair.client.receive(frame) { return .refused }
                return .session
            case .resumed, .resumeRefused:
                let request = try pair.answer(ticket: SealedPair.ticket(keys.client))
                let proof = try #require(try pair.verifyResume(request, keys.server))
                let content = try proof.content(isRefused: step == .resumeRefused)
                let frame = try answer(change(content), in: .resumed, proof.handshake)
                if case .refused = try pair.client.receive(frame) { return .refused }
                return .session
            }
        } catch let error as MuxError {
            return .error(error.kind)
        }
    }

    private static func answer(
        _ content: [UInt8],
        in type: FrameType,
        _ handshake: OneTime<HandshakeState>?
    ) throws -> InboundFrame {
        guard var noise = handshake?.take() else { throw ScenarioFailure(description: "no handshake") }
        var fields = FieldWriter()
        fields.append(type == .welcome ? SealedFields.Tag.welcome : SealedFields.Tag.resumed, try noise.write(content))
        return OutboundFrame(type, .session, fields.bytes).arrived
    }

    private static let proofLength = 35

    /// Contents that no end may take for the right one.
    private static func wrong(_ step: Step, _ content: [UInt8]) -> [[UInt8]] {
        var all: [[UInt8]] = [[], [0], [0xFF], [0, 0, 0], content + content, [0] + content, content + [0]]
        all += [0, 0xFF].map { [UInt8](repeating: $0, count: 3_000) }
        all.append(content + [0x60, 0, 0])
        all.append(Array(content.reversed()))
        all.append(Array(content.dropFirst()))
        let lengths = Array(content.indices)
        all += (TestRun.isHeavy ? lengths : lengths.filter { $0 < 12 || $0 % 7 == 0 || $0 > content.count - 40 })
            .map { Array(content.prefix($0)) }
        if step.isAnswer {
            let right = content[0]
            // A refusal in place of a grant is malformed, and a grant in place of a refusal has no proof.
            let types =
                TestRun.isHeavy ? Array(UInt8.min...UInt8.max) : FrameType.allCases.map(\.rawValue) + [0, 0x99, 0xFF]
            all += types.filter { $0 != right }.map { [$0] + content.dropFirst() }
            all += types.map { [$0] }
        }
        return step.isRefusal ? all : all + wrongProofs(content, step)
    }

    /// The content with a proof that is missing, wrong, of another length, or in another place.
    private static func wrongProofs(_ content: [UInt8], _ step: Step) -> [[UInt8]] {
        let type = Array(content.prefix(step.isAnswer ? 1 : 0))
        let fields = Array(content.dropLast(proofLength))
        let proof = Array(content.suffix(proofLength))
        let value = Array(proof.dropFirst(3))
        var all = [fields, fields + proof + proof, type + proof, type + proof + fields.dropFirst(type.count)]
        for value in [[], value.dropLast(), value + [0], [UInt8](repeating: 0, count: 32), value.reversed()]
            as [[UInt8]]
        {
            all.append(fields + [FieldReader.proofTag, 0, UInt8(value.count)] + value)
        }
        all.append(fields + [FieldReader.proofTag - 1, 0, 32] + value)
        for index in content.indices.suffix(32) where TestRun.isHeavy || index % 6 == 0 || index == content.count - 1 {
            var forged = content
            forged[index] ^= 1
            all.append(forged)
        }
        return all
    }

    @Test("The right content is believed", arguments: Step.allCases)
    func right(step: Step) throws {
        let outcome = try Self.outcome(step, Self.keys()) { $0 }
        #expect(outcome == (step.isRefusal ? .refused : .session))
    }

    @Test("Nothing else in a message that opens leads to a session or a carrier", arguments: Step.allCases)
    func wrong(step: Step) throws {
        let keys = try Self.keys()
        var content: [UInt8] = []
        _ = try Self.outcome(step, keys) {
            content = $0
            return $0
        }
        for forged in Self.wrong(step, content) {
            let outcome = try Self.outcome(step, keys) { _ in forged }
            #expect(outcome != .session, "\(step.rawValue): \(forged)")
            #expect(step.isAnswer || outcome != .refused, "\(step.rawValue): \(forged)")
        }
        // Each field removed, emptied, and longer by a byte. The proof is the one before.
        let start = step.isAnswer ? 1 : 0
        let fields = try SealedFieldTests.Fields(ByteBuffer(bytes: content.dropFirst(start)))
        for change in SealedFieldTests.Change.allCases where change != .shortened {
            for index in fields.all.indices {
                let outcome = try Self.outcome(step, keys) { content in
                    let payload = ByteBuffer(bytes: content.dropFirst(start))
                    return Array(content.prefix(start)) + (try change.apply(payload, at: index)).readableBytesView
                }
                #expect(outcome != .session, "\(step.rawValue): field \(fields.all[index].tag) \(change)")
            }
        }
    }

    @Test("Random content leads to no session, and to no trap")
    func random() throws {
        let seed = Fuzzing.seed
        print("seed of the contents of sealed handshakes: \(seed)")
        var random = SplitMix64(state: seed)
        let keys = try Self.keys()
        for number in 0..<(TestRun.isHeavy ? 20_000 : 500) {
            let step = Step.allCases[number % Step.allCases.count]
            var forged: [UInt8] = []
            let outcome = try Self.outcome(step, keys) { right in
                forged = right
                while forged == right { forged = Self.mutated(right, &random) }
                return forged
            }
            #expect(outcome != .session, "seed \(seed), number \(number): \(step.rawValue) \(forged)")
        }
    }

    private static func mutated(_ content: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        guard Int.random(in: 0..<4, using: &random) == 0 else {
            return Array(Fuzzing.mutate(content, &random).prefix(4_000))
        }
        let count = Int.random(in: 0...200, using: &random)
        return (0..<count).map { _ in .random(in: .min ... .max, using: &random) }
    }
}

extension ServerHandshake.Verified {
    /// What the server seals in its answer.
    fileprivate func content(isRefused: Bool) throws -> [UInt8] {
        if isRefused { return Refusal.busyForTests.content }
        var (fields, transcript) = (HandshakePair.terms.unproved, transcript)
        transcript.append("welcome", fields.bytes)
        fields.append(FieldReader.proofTag, verifier.proof(over: transcript).bytes)
        return [FrameType.welcome.rawValue] + fields.bytes.readableBytesView
    }
}

extension ServerHandshake.Resumed {
    /// What the server seals in its answer.
    fileprivate func content(isRefused: Bool) throws -> [UInt8] {
        if isRefused { return Refusal.busyForTests.content }
        var (fields, transcript) = (FieldWriter(), transcript)
        fields.append(1, number: UInt64(42))
        fields.append(2, [1, 2, 3])
        transcript.append("resumed", fields.bytes)
        fields.append(FieldReader.proofTag, transcript.authenticate(key).bytes)
        return [FrameType.resumed.rawValue] + fields.bytes.readableBytesView
    }
}

extension Refusal {
    fileprivate static let busyForTests = Refusal(.busy, "the server is full", retryAfter: 30)

    fileprivate var content: [UInt8] {
        [FrameType.refused.rawValue] + frame(.refused).payload.readableBytesView
    }
}
