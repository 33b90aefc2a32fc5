import ByteText
import Crypto
import Foundation
import Synchronization
import Testing

@testable import Seal
@testable import TestSupport

/// Handshakes with implementations of Noise that share nothing with ours: PyPI's `noiseprotocol`, and Debian's
/// `python3-dissononce`.
@Suite("Independent implementations of Noise", .serialized) struct IndependentPeerTests {
    private static let debian = PythonLibrary("dissononce", package: "python3-dissononce")
    /// PyPI only: continuous integration does not install it.
    private static let pypi = PythonLibrary("noise.connection", package: "pip install noiseprotocol")

    @Test(
        "handshakes with dissononce, both patterns, whichever end is ours, with payloads and messages both ways",
        .enabled(
            if: debian.interpreter != nil || TestRun.isCI,
            "not installed: dissononce (apt-get install \(debian.package))"
        )
    )
    func dissononce() async throws {
        try await check("dissononce", interpreter: #require(Self.debian.interpreter))
    }

    @Test(
        "handshakes with noiseprotocol, both patterns, whichever end is ours, with payloads and messages both ways",
        .enabled(
            if: pypi.interpreter != nil || TestRun.isSlow,
            "not installed: noiseprotocol (\(pypi.package))"
        )
    )
    func noiseprotocol() async throws {
        try await check("noise", interpreter: #require(Self.pypi.interpreter))
    }

    /// A handshake with the peer that has its number.
    private struct Handshake {
        let ours: End
        let isInitiator: Bool
        var payloads: [[UInt8]]
        let start: String
    }

    private func check(_ library: String, interpreter: String) async throws {
        let peer = try Peer(library, interpreter: interpreter)
        var random = Fuzzing.generator(27)
        // 1,000 in all, or 200.
        let each = TestRun.isSlow || TestRun.isHeavy ? 250 : 50
        for resumes in [false, true] {
            for isInitiator in [false, true] {
                let handshakes = (0..<each).map { _ in
                    Self.handshake(resumes: resumes, isInitiator: isInitiator, &random)
                }
                try await exchange(handshakes, with: peer)
            }
        }
        try await rekey(with: peer)
        try await peer.end()
    }

    /// The peer's own Rekey opens what follows the 65,536th message.
    private func rekey(with peer: Peer) async throws {
        var random = Fuzzing.generator(28)
        let handshake = Self.handshake(resumes: false, isInitiator: true, &random)
        let ours = handshake.ours
        _ = try await peer.ask(["start rekey \(handshake.start)"])
        _ = try await peer.ask(["read rekey \(Peer.text(try ours.write()))"])
        _ = try ours.read(await peer.ask(["write rekey -"])[0])
        try ours.split()
        for _ in 1..<MessageKey.interval { _ = try ours.seal([]) }
        let messages = try [[UInt8(1)], [2]].map { try ours.seal($0) }.map(Peer.text)
        let opened = try await peer.ask([
            "seek rekey open \(MessageKey.interval - 1)", "open rekey \(messages[0])", "rekey rekey open",
            "open rekey \(messages[1])",
        ])
        #expect(opened == [[], [1], [], [2]])
    }

    private static func handshake(resumes: Bool, isInitiator: Bool, _ random: inout SplitMix64) -> Handshake {
        var setup = Setup(resumes: resumes)
        setup.prologue = randomBytes(Int.random(in: 0...100, using: &random))
        let role = isInitiator ? "responder" : "initiator"
        let pattern = resumes ? HandshakePattern.nnPSK0 : .nkPSK0
        let server = isInitiator ? setup.server.rawRepresentation : setup.server.publicKey.rawRepresentation
        let texts = [setup.psk.bytes, setup.prologue, resumes ? [] : server].map(Peer.text)
        return Handshake(
            ours: isInitiator ? setup.client() : setup.serving(),
            isInitiator: isInitiator,
            payloads: (0..<6).map { index in
                // Some messages are as long as those of a busy session.
                let limit = index == 5 && Int.random(in: 0..<50, using: &random) == 0 ? Sealer.longestMessage : 300
                return randomBytes(Int.random(in: 0...limit, using: &random))
            },
            start: "\(pattern.protocolName) \(role) \(texts.joined(separator: " "))"
        )
    }

    /// Performs all handshakes step by step, so that the two processes seldom wait for each other.
    private func exchange(_ handshakes: [Handshake], with peer: Peer) async throws {
        let numbers = handshakes.indices
        _ = try await peer.ask(numbers.map { "start \($0) \(handshakes[$0].start)" })
        for step in 0..<2 {
            // The initiator writes first.
            if handshakes[0].isInitiator == (step == 0) {
                let messages = try numbers.map { try handshakes[$0].ours.write(handshakes[$0].payloads[step]) }
                let read = try await peer.ask(numbers.map { "read \($0) \(Peer.text(messages[$0]))" })
                #expect(read == handshakes.map { $0.payloads[step] })
            } else {
                let written = try await peer.ask(
                    numbers.map { "write \($0) \(Peer.text(handshakes[$0].payloads[step]))" }
                )
                #expect(
                    try numbers.map { try handshakes[$0].ours.read(written[$0]) }
                        == handshakes.map { $0.payloads[step] }
                )
            }
        }
        for handshake in handshakes { try handshake.ours.split() }
        #expect(try await peer.ask(numbers.map { "hash \($0)" }) == handshakes.map(\.ours.hash))
        for step in [2, 4] {
            let messages = try numbers.map { try handshakes[$0].ours.seal(handshakes[$0].payloads[step]) }
            let opened = try await peer.ask(numbers.map { "open \($0) \(Peer.text(messages[$0]))" })
            #expect(opened == handshakes.map { $0.payloads[step] })
            let sealed = try await peer.ask(
                numbers.map { "seal \($0) \(Peer.text(handshakes[$0].payloads[step + 1]))" }
            )
            #expect(
                try numbers.map { try handshakes[$0].ours.open(sealed[$0]) } == handshakes.map { $0.payloads[step + 1] }
            )
        }
        // What is altered on the way is refused by the peer too.
        var altered = try handshakes[0].ours.seal([1, 2, 3])
        altered[0] ^= 1
        #expect(try await peer.lines(["open 0 \(Peer.text(altered))"]) == ["error"])
    }
}

/// `Fixtures/noise/peer.py`, which runs until the end of its test.
private final class Peer: Sendable {
    private let input: InputPipe
    private let process: ChildProcess
    private let asked = Mutex(0)

    init(_ library: String, interpreter: String) throws {
        input = try InputPipe()
        process = try ChildProcess(
            name: "peer.py",
            executable: interpreter,
            arguments: [Fixture.url("noise/peer.py").path, library],
            environment: ProcessInfo.processInfo.environment,
            directory: "/",
            input: .pipe(input)
        )
    }

    /// Bytes as the peer reads them.
    static func text(_ bytes: [UInt8]) -> String { bytes.isEmpty ? "-" : Base16.encoded(bytes) }

    /// Sends commands, and waits for as many lines.
    func lines(_ commands: [String]) async throws -> [String] {
        // The peer's answers are read on another thread, so neither pipe can fill for good.
        try input.send(commands.map { $0 + "\n" }.joined())
        let before = asked.withLock { asked in
            defer { asked += commands.count }
            return asked
        }
        let (process, all) = (process, before + commands.count)
        return try await eventually("\(commands.count) answers", within: .seconds(60), found: { "\(process)" }) {
            if process.exitStatus != nil { throw ScenarioFailure(description: "it ended. \(process)") }
            let lines = process.output.lines
            return lines.count < all ? nil : Array(lines[before..<all])
        }
    }

    /// Sends commands that must succeed, and returns the bytes of the answers.
    func ask(_ commands: [String]) async throws -> [[UInt8]] {
        try await lines(commands).map { line in
            guard let bytes = Base16.decoded(line == "-" ? "" : line) else {
                throw ScenarioFailure(description: "\(line). \(process)")
            }
            return bytes
        }
    }

    /// Ends the input, and waits for the end of the process.
    func end() async throws {
        input.finish()
        #expect(try await process.exitStatus() == .exited(0), "\(process)")
    }
}
