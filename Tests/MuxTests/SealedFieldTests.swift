import NIOCore
import TestSupport
import Testing

@testable import Mux
@testable import Seal

/// Fields of a sealed handshake that travel in clear, changed on the path.
@Suite("Fields in clear of a sealed handshake")
struct SealedFieldTests {
    /// A payload as its fields, without any rule.
    struct Fields {
        var all: [(tag: UInt8, value: [UInt8])] = []

        init(_ payload: ByteBuffer) throws {
            var rest = payload
            while let tag = rest.readInteger(as: UInt8.self) {
                guard let length = rest.readInteger(as: UInt16.self), let value = rest.readBytes(length: Int(length))
                else { throw MuxError(.malformedPayload, "field \(tag) is cut short") }
                all.append((tag, value))
            }
        }

        var payload: ByteBuffer {
            var fields = FieldWriter()
            for field in all { fields.append(field.tag, field.value) }
            return fields.bytes
        }
    }

    /// What the path does with a field.
    enum Change: CaseIterable {
        case removed, emptied, doubled, shortened, lengthened, altered, moved, unknownBefore, emptyUnknownBefore

        /// Returns the payload with a change at the field of this index.
        func apply(_ payload: ByteBuffer, at index: Int) throws -> ByteBuffer {
            var fields = try Fields(payload)
            let field = fields.all[index]
            switch self {
            case .removed: fields.all.remove(at: index)
            case .emptied: fields.all[index].value = []
            case .doubled: fields.all.insert(field, at: index)
            case .shortened: fields.all[index].value.removeLast()
            case .lengthened: fields.all[index].value.append(0)
            case .altered: fields.all[index].value[field.value.count / 2] ^= 0x20
            case .moved:
                fields.all.remove(at: index)
                fields.all.insert(field, at: index == 0 ? fields.all.count : 0)
            case .unknownBefore: fields.all.insert((0x70, [1, 2, 3]), at: index)
            case .emptyUnknownBefore: fields.all.insert((0x71, []), at: index)
            }
            return fields.payload
        }
    }

    /// A frame of the handshake, and whether it leads to a carrier.
    enum Step: String, CaseIterable {
        case challenge = "CHALLENGE"
        case challengeResuming = "CHALLENGE before RESUME"
        case authenticate = "AUTHENTICATE"
        case welcome = "WELCOME"
        case resume = "RESUME"
        case resumed = "RESUMED"

        private var isResuming: Bool {
            switch self {
            case .challenge, .authenticate, .welcome: false
            case .challengeResuming, .resume, .resumed: true
            }
        }

        /// Makes a whole handshake whose frame of this step the path changes.
        ///
        /// - Returns: whether both ends have a carrier then; false also if an end has thrown.
        func succeeds(
            _ session: (client: SessionKeys, server: SessionKeys),
            requiresSeal: Bool = true,
            _ change: (ByteBuffer) throws -> ByteBuffer
        ) throws -> Bool {
            var pair = try SealedPair(requiresSeal: requiresSeal)
            func through(_ step: Step, _ frame: OutboundFrame) throws -> OutboundFrame {
                step == self ? OutboundFrame(frame.header.type, .session, try change(frame.payload)) : frame
            }
            do {
                guard isResuming else {
                    let request = try pair.answer(through(.challenge, pair.server.challenge))
                    guard let verified = try pair.verify(through(.authenticate, request)) else { return false }
                    let (opening, _) = try #require(verified.welcome(HandshakePair.terms))
                    let answer = try through(.welcome, opening.frame)
                    guard case .established = try pair.client.receive(answer.arrived) else { return false }
                    return true
                }
                let challenge = try through(.challengeResuming, pair.server.challenge)
                let request = try pair.answer(challenge, ticket: SealedPair.ticket(session.client))
                guard let proof = try pair.verifyResume(through(.resume, request), session.server) else { return false }
                let answer = try through(.resumed, try #require(proof.resumed(received: 42)).frame)
                guard case .resumed = try pair.client.receive(answer.arrived) else { return false }
                return true
            } catch is MuxError {
                return false
            }
        }

        /// The tags of the frame's fields in clear.
        var tags: [UInt8] {
            switch self {
            case .challenge, .challengeResuming: [1, 2, 3, 4]
            case .authenticate: [1, 2, SealedFields.Tag.authenticate]
            case .welcome: [SealedFields.Tag.welcome]
            case .resume: [1, SealedFields.Tag.resume]
            case .resumed: [SealedFields.Tag.resumed]
            }
        }
    }

    private static func session() throws -> (client: SessionKeys, server: SessionKeys) {
        let (grant, _, keys, _) = try SealedPair.established()
        return (grant.keys, keys)
    }

    @Test("A changed field of any frame leads to no session and no further carrier", arguments: Step.allCases)
    func changes(step: Step) throws {
        let session = try Self.session()
        for requiresSeal in [true, false] {
            var tags: [UInt8] = []
            let isRight = try step.succeeds(session, requiresSeal: requiresSeal) { payload in
                tags = try Fields(payload).all.map(\.tag)
                return payload
            }
            #expect(isRight && tags == step.tags, "\(step.rawValue) as it is: \(tags)")
            for change in Change.allCases {
                for index in tags.indices where change != .moved || tags.count > 1 {
                    let succeeds = try step.succeeds(session, requiresSeal: requiresSeal) { payload in
                        try change.apply(payload, at: index)
                    }
                    #expect(!succeeds, "\(step.rawValue): field \(tags[index]) \(change)")
                }
            }
        }
    }

    @Test(
        "A field that belongs inside the seal, or behind the message, is worth nothing in clear",
        arguments: Step.allCases
    )
    func inClear(step: Step) throws {
        let session = try Self.session()
        // All that a frame of the handshake has, unknown ones, and the proof.
        let few = Array(0..<16) + [0x60, 0x7F, 0x80, FieldReader.proofTag - 1, FieldReader.proofTag]
        for tag in TestRun.isHeavy ? Array(UInt8.min...UInt8.max) : few where !step.tags.contains(tag) {
            for isBehind in [true, false] {
                let succeeds = try step.succeeds(session) { payload in
                    var fields = try Fields(payload)
                    let value = [UInt8](repeating: 1, count: tag == FieldReader.proofTag ? 32 : 8)
                    fields.all.insert((tag, value), at: fields.all.count - (isBehind ? 0 : 1))
                    return fields.payload
                }
                #expect(!succeeds, "\(step.rawValue): field \(tag) \(isBehind ? "behind" : "before") the last one")
            }
        }
    }

    @Test(
        "Other versions, another text and another nonce in CHALLENGE lead to no session and no further carrier",
        arguments: [Step.challenge, .challengeResuming]
    )
    func challenge(step: Step) throws {
        let session = try Self.session()
        let values: [(index: Int, value: [UInt8])] = [
            (0, [0, 2, 0, 3]), (0, [0, 3, 0, 2]), (0, [0, 2, 0, 2]), (0, [0, 1]), (0, [0, 3]), (0, [2]),
            (1, [UInt8](repeating: 9, count: 32)), (1, [UInt8](repeating: 0, count: 32)),
            (2, Array("culvert 0.0.1".utf8)), (2, Array("culvert 1.2.3 ".utf8)), (2, [0xFF]), (2, [0x1B, 0x5B]),
            (3, try #require(SealedPair.otherKey).publicKey.rawRepresentation), (3, [UInt8](repeating: 0, count: 32)),
        ]
        for (index, value) in values {
            let succeeds = try step.succeeds(session) { payload in
                var fields = try Fields(payload)
                fields.all[index].value = value
                return fields.payload
            }
            #expect(!succeeds, "field \(index + 1): \(value)")
        }
    }

    @Test("A list of versions from which the path takes one opens neither request")
    func fewerVersions() throws {
        let key = try #require(SealedPair.key)
        let nonce = [UInt8](repeating: 1, count: 32)
        func challenge(_ versions: [UInt16]) -> ByteBuffer {
            Challenge(versions: versions, nonce: nonce, software: "x", key: key.publicKey).payload
        }
        let session = try Self.session()
        for (sent, arrived) in [([2, 3], [2]), ([3, 2], [2]), ([2, 3, 4], [2, 4]), ([2, 3], [2, 3])]
            as [([UInt16], [UInt16])]
        {
            let shown = OutboundFrame(.challenge, .session, challenge(arrived))
            var resuming = try SealedPair()
            let resume = try resuming.answer(shown, ticket: SealedPair.ticket(session.client))
            var (server, _) = try ServerHandshake.relayed(challenge: challenge(sent), resume: resume.payload)
            let resumed = try server.verifyResume(session.server, decoySecret: HandshakePair.decoySecret)
            #expect((resumed != nil) == (sent == arrived), "\(sent) as \(arrived)")
            var pair = try SealedPair()
            let fields = try FieldReader(try pair.answer(shown).payload, of: .authenticate)
            let (message, before) = try #require(try fields.last(SealedFields.Tag.authenticate))
            var noise = SealedFields.handshake(
                .server(key),
                psk: .seal(of: try #require(HandshakePair.token).verifier.storedKey),
                "culvert seal 1",
                [("challenge", challenge(sent)), ("authenticate", before)]
            )
            let content = try? noise.read(message)
            #expect((content != nil) == (sent == arrived), "\(sent) as \(arrived)")
        }
    }
}
