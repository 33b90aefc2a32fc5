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

/// The error line of each kind of failed dial, from a transcript with the expected line.
///
/// A transcript begins with the fields `url:`, `proxy:` (a URL or none), optionally `user:`, `auth:` and `split:`, and
/// `expect:`, the whole line. The steps of the peer follow. Each begins with one of these lines: `--- says` (bytes up
/// to the next step, with `\r\n` as in the file), `--- closes`, `--- is silent`, `--- refuses the connection`, `--- has
/// no address`, `--- does not answer for the name`, `--- does not answer the connection`.
@Suite("Error lines of dials")
struct DialLineTests {
    /// The transcripts.
    static let files = Fixture.files(in: "dial", withExtension: "transcript")

    // The transcripts include N13, names of servers and proxies without an address, and N24, a front that does not
    // forward the upgrade.
    @Test("The dial of each transcript fails with the expected line", arguments: files)
    func line(_ file: URL) async throws {
        let transcript = try Transcript(file)
        let line = try transcript.line { [$0] }
        #expect(line == transcript.expected, "\(file.lastPathComponent)")
        #expect(!line.contains("pass-word"))
        #expect(InternalNames.first(in: line) == nil, "\(line)")
        guard transcript.isReplayed, transcript.isSplit else { return }
        // The quoted beginning of an invalid answer depends on the received bytes, so only the text before it is
        // compared.
        let bytes = try transcript.line { $0.map { [$0] } }
        #expect(head(bytes) == head(line), "\(file.lastPathComponent) byte by byte")
        // The number of bytes that the TLS library reads before it fails is unspecified.
        guard !line.contains("TLS") else { return }
        for cut in 1..<max(2, transcript.longestStep) {
            // Gives other tests a turn on the shared threads.
            await Task.yield()
            let halves = try transcript.line { [Array($0.prefix(cut)), Array($0.dropFirst(cut))] }
            #expect(head(halves) == head(line), "\(file.lastPathComponent) cut at \(cut)")
        }
    }

    private func head(_ line: String) -> Substring {
        line[..<(line.firstRange(of: "begins with")?.lowerBound ?? line.endIndex)]
    }

    @Test("A repeated failure is logged at the first, second, fourth and eighth time, and so on")
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

    @Test("A service whose name has no address is reported so")
    func unresolvableService() async throws {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        do {
            try await bootstrap.connect(host: "no-such-host.invalid", port: 1).get().close()
            Issue.record("the name has an address")
        } catch {
            #expect(EgressFailure.reason(error).hasPrefix("the name no-such-host.invalid has no address"))
        }
    }

    @Test("The folder of transcripts is found")
    func found() {
        #expect(Self.files.count > 15)
    }
}

private struct Transcript {
    private var fields: [String: String] = [:]
    private let steps: [String]
    let expected: String

    init(_ file: URL) throws {
        // Decodes as Latin-1, because the bytes of proxies need not be UTF-8.
        let text = try Data(contentsOf: file).reduce(into: "") { $0.unicodeScalars.append(Unicode.Scalar($1)) }
        var parts = text.components(separatedBy: "--- ")
        for line in parts.removeFirst().split(separator: "\n") {
            guard let colon = line.firstRange(of: ": ") else { continue }
            fields[String(line[..<colon.lowerBound])] = String(line[colon.upperBound...])
        }
        steps = parts
        expected = fields["expect"] ?? ""
    }

    /// The bytes of the longest step.
    var longestStep: Int { (steps.map(\.unicodeScalars.count).max() ?? 0) - 5 }

    /// Whether the bytes are also tested in parts. Some answers are recognised only if several bytes arrive together.
    var isSplit: Bool { fields["split"] != "no" }

    /// Whether the peer sends bytes.
    var isReplayed: Bool { steps.first?.hasPrefix("says") ?? false }

    /// The error line without the test's own address. ``AddressRotationTests`` check the address in the line.
    func line(_ cut: ([UInt8]) -> [[UInt8]]) throws -> String {
        try run(cut).description.replacing(#/ at 127\.0\.0\.1:\d+/#, with: "")
    }

    private func run(_ cut: ([UInt8]) -> [[UInt8]]) throws -> DialError {
        let route = try route()
        switch steps.first?.split(separator: "\n").first {
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

    /// The system's error for an impossible connection.
    private func connectFailure(_ host: String, _ port: UInt16) throws -> any Error {
        do {
            let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            try bootstrap.connect(host: host, port: Int(port)).wait().close().wait()
            throw ScenarioFailure(description: "\(host):\(port) answers")
        } catch let error as NIOConnectionError {
            return error
        }
    }

    /// Runs the peer's steps against a dial on a channel without a socket.
    private func replay(_ route: DialRoute, _ cut: ([UInt8]) -> [[UInt8]]) throws -> DialError {
        let loop = EmbeddedEventLoop()
        let promise = loop.makePromise(of: Void.self)
        let failure = Failure()
        promise.futureResult.whenFailure { failure.error = $0 }
        let handler = DialHandler(route: route, steps: try route.steps(), promise: promise) { _, _ in }
        let channel = EmbeddedChannel(handler: handler, loop: loop)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        for step in steps {
            if step.hasPrefix("says\n") {
                for piece in cut(step.unicodeScalars.dropFirst(5).map { UInt8($0.value) }) where channel.isActive {
                    try channel.writeInbound(ByteBuffer(bytes: piece))
                }
            } else if step.hasPrefix("is silent") {
                loop.advanceTime(by: route.hopTimeout)
            } else if channel.isActive {
                channel.close(promise: nil)
            }
            loop.run()
        }
        _ = try? channel.finish()
        promise.fail(ScenarioFailure(description: "the dial does not end"))
        return try #require(failure.error as? DialError, "\(String(describing: failure.error))")
    }
}

/// The failure of a promise. It is set on an embedded loop, which runs on the test's thread.
private final class Failure: @unchecked Sendable {
    var error: (any Error)?
}
