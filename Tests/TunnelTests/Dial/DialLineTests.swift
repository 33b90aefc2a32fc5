import Foundation
import HTTP1
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import ProxyConnect
import TestSupport
import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore

/// What a person reads when a dial fails: one transcript for each way to fail, and the line expected.
///
/// A transcript begins with `url:`, `proxy:` (a URL or none), perhaps `user:`, `auth:` and `split:`, and `expect:`, the whole
/// line. Then come the turns of the other side, each behind a line of its own: `--- says` (bytes, up to the next such
/// line; `\r\n` at the ends of lines as they stand), `--- closes`, `--- is silent`, `--- refuses the connection`,
/// `--- has no address`, `--- does not answer for the name`, `--- does not answer the connection`.
@Suite("The line that a person reads")
struct DialLineTests {
    /// Where the transcripts are.
    static let files = Fixture.files(in: "dial", withExtension: "transcript")

    // N13: names without an address, of the server and of the proxy, are among them. N24: so is an upgrade that a front does
    // not pass on; that the sample files of fronts do is tested with the fronts.
    @Test("Each way to fail has its transcript, and the line that it must give", arguments: files)
    func line(_ file: URL) async throws {
        let transcript = try Transcript(file)
        let line = try transcript.line { [$0] }
        #expect(line == transcript.expected, "\(file.lastPathComponent)")
        #expect(!line.contains("pass-word"))
        #expect(InternalNames.first(in: line) == nil, "\(line)")
        guard transcript.isReplayed, transcript.isSplit else { return }
        // How an answer begins that is none is shown as far as it was there.
        let bytes = try transcript.line { $0.map { [$0] } }
        #expect(head(bytes) == head(line), "\(file.lastPathComponent) byte by byte")
        // TLS is another library's: how far it reads before it gives up is its own business.
        guard !line.contains("TLS") else { return }
        for cut in 1..<max(2, transcript.longestTurn) {
            // Other tests wait for the same few threads.
            await Task.yield()
            let halves = try transcript.line { [Array($0.prefix(cut)), Array($0.dropFirst(cut))] }
            #expect(head(halves) == head(line), "\(file.lastPathComponent) cut at \(cut)")
        }
    }

    private func head(_ line: String) -> Substring {
        line[..<(line.firstRange(of: "begins with")?.lowerBound ?? line.endIndex)]
    }

    @Test("A failure that stays the same is logged once, and then at two, four, eight times and so on")
    func repeatedFailures() {
        var repeated = RepeatedFailure()
        #expect(
            (1...20).map { _ in repeated.line("a")?.times ?? 0 } == [1, 2, 0, 4, 0, 0, 0, 8]
                + Array(repeating: 0, count: 7) + [16, 0, 0, 0, 0]
        )
        #expect(repeated.line("b")?.times == 1)
        #expect(repeated.line("a")?.times == 1)
        repeated.worked()
        #expect(repeated.line("a")?.times == 1)
    }

    @Test("A service whose name has no address is told as that")
    func unresolvableService() async throws {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        do {
            try await bootstrap.connect(host: "no-such-host.invalid", port: 1).get().close()
            Issue.record("it has an address")
        } catch {
            #expect(EgressFailure.reason(error).hasPrefix("the name no-such-host.invalid has no address"))
        }
    }

    @Test("The folder was found")
    func found() {
        #expect(Self.files.count > 15)
    }
}

private struct Transcript {
    private var fields: [String: String] = [:]
    private let turns: [String]
    let expected: String

    init(_ file: URL) throws {
        // Byte by byte: what proxies say need not be UTF-8.
        let text = try Data(contentsOf: file).reduce(into: "") { $0.unicodeScalars.append(Unicode.Scalar($1)) }
        var parts = text.components(separatedBy: "--- ")
        for line in parts.removeFirst().split(separator: "\n") {
            guard let colon = line.firstRange(of: ": ") else { continue }
            fields[String(line[..<colon.lowerBound])] = String(line[colon.upperBound...])
        }
        turns = parts
        expected = fields["expect"] ?? ""
    }

    /// Bytes of the longest turn.
    var longestTurn: Int { (turns.map(\.unicodeScalars.count).max() ?? 0) - 5 }

    /// False for an answer that is known by several bytes, which come together.
    var isSplit: Bool { fields["split"] != "no" }

    /// False where the failure comes before the first byte.
    var isReplayed: Bool { turns.first?.hasPrefix("says") ?? false }

    /// The line for a person, without the address behind the name, which is this test's own: those of
    /// ``AddressRotationTests`` say where that stands.
    func line(_ cut: ([UInt8]) -> [[UInt8]]) throws -> String {
        try play(cut).description.replacing(#/ at 127\.0\.0\.1:\d+/#, with: "")
    }

    private func play(_ cut: ([UInt8]) -> [[UInt8]]) throws -> DialError {
        let route = try route()
        switch turns.first?.split(separator: "\n").first {
        case "refuses the connection":
            return route.error(.connect(ConnectFailure(try connectFailure("127.0.0.1", FreePorts.next()), offered: [])))
        case "has no address":
            return route.error(.connect(ConnectFailure(try connectFailure("nowhere.invalid", 1), offered: [])))
        case "does not answer the connection":
            let address = try SocketAddress(ipAddress: "203.0.113.9", port: route.dialled.port)
            _ = route.rotation.choose(among: [address])
            return timedOut(route)
        case "does not answer for the name":
            return timedOut(route)
        default:
            return try replay(route, cut)
        }
    }

    private func timedOut(_ route: DialRoute) -> DialError {
        let error = ChannelError.connectTimeout(.seconds(10))
        return route.error(.connect(ConnectFailure(error, offered: route.rotation.offered)))
    }

    private func route() throws -> DialRoute {
        var configuration = ClientConfiguration(
            endpoints: [],
            tunnels: [],
            token: nil,
            instance: Array(repeating: 0, count: 32)
        )
        configuration.proxyCredentials.user = fields["user"]
        configuration.proxyCredentials.password = fields["user"].map { _ in "pass-word" }
        configuration.proxySchemes = fields["auth"].flatMap { ProxyScheme(rawValue: $0) }.map { [$0] } ?? [.basic]
        let context = DialContext(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let way = DialWay(
            endpoint: try EndpointURL(fields["url"] ?? ""),
            choice: try ProxyChoice(argument: fields["proxy"] ?? "none")
        )
        return DialRoute(way, configuration, context)
    }

    /// What the system says to a connection that cannot be.
    private func connectFailure(_ host: String, _ port: UInt16) throws -> any Error {
        do {
            let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            try bootstrap.connect(host: host, port: Int(port)).wait().close().wait()
            throw ScenarioFailure(description: "\(host):\(port) answers")
        } catch let error as NIOConnectionError {
            return error
        }
    }

    /// Plays the other side to a dial on a channel without a socket.
    private func replay(_ route: DialRoute, _ cut: ([UInt8]) -> [[UInt8]]) throws -> DialError {
        let loop = EmbeddedEventLoop()
        let promise = loop.makePromise(of: Void.self)
        let failure = Failure()
        promise.futureResult.whenFailure { failure.error = $0 }
        let handler = DialHandler(route: route, steps: try route.steps(), promise: promise) { _, _ in }
        let channel = EmbeddedChannel(handler: handler, loop: loop)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        for turn in turns {
            if turn.hasPrefix("says\n") {
                for piece in cut(turn.unicodeScalars.dropFirst(5).map { UInt8($0.value) }) where channel.isActive {
                    try channel.writeInbound(ByteBuffer(bytes: piece))
                }
            } else if turn.hasPrefix("is silent") {
                loop.advanceTime(by: route.hopTimeout)
            } else if channel.isActive {
                channel.close(promise: nil)
            }
            loop.run()
        }
        _ = try? channel.finish()
        promise.fail(ScenarioFailure(description: "the dial goes on"))
        return try #require(failure.error as? DialError, "\(String(describing: failure.error))")
    }
}

/// Set on an embedded loop, which runs on the test's own thread.
private final class Failure: @unchecked Sendable {
    var error: (any Error)?
}
