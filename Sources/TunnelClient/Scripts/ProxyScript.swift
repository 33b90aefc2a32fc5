import Logging
import ProxyConnect
import Synchronization
import TunnelCore

/// A proxy script (PAC), which is evaluated for a server before each dial.
///
/// - A script on a web server is fetched again after some minutes, directly and without a proxy. A script in a file is
///   read each time.
/// - If that fails and there is an older text, the older one is evaluated, with a warning.
/// - A script that failed to run is forgotten, so that a login page in its place does not stay.
/// - A script may look names up, and the server's name is among its arguments. Without a script, a proxy resolves it.
public final class ProxyScript: Sendable {
    /// The limit of a script's length, in bytes. Large scripts of companies have a tenth of it.
    package static let limit = 1 << 20
    /// The age at which a script of a web server is fetched again.
    static let freshness = Duration.seconds(300)

    private struct Text: Sendable {
        var bytes: [UInt8]
        var readAt: ContinuousClock.Instant
        var isFresh: Bool
    }

    /// The address of the script.
    public let location: ProxyScriptLocation
    private let engine: any ProxyScriptEngine
    private let logger: Logger
    private let freshness: Duration
    private let latest = Mutex<Text?>(nil)

    /// A script at an address. It is read before the first dial.
    public convenience init(_ location: ProxyScriptLocation, engine: any ProxyScriptEngine, logger: Logger) {
        self.init(location, engine: engine, logger: logger, freshness: Self.freshness)
    }

    init(
        _ location: ProxyScriptLocation,
        engine: any ProxyScriptEngine,
        logger: Logger,
        freshness: Duration
    ) {
        self.location = location
        self.engine = engine
        self.logger = logger
        self.freshness = freshness
    }

    /// The proxies on the ways to a server, in the script's order; at least one.
    ///
    /// The script receives scheme, host and port, as `https://host/` for wss and `http://host/` for ws. Like browsers, the
    /// client keeps the path to itself.
    ///
    /// - Throws: ``DialError``, which says whether a later try may succeed.
    public func choices(for endpoint: EndpointURL) async throws(DialError) -> [ProxyChoice] {
        do {
            let script = try await script()
            let url = "\(endpoint.isSecure ? "https" : "http")://\(endpoint.authority)/"
            let text: String
            do {
                text = try await engine.answer(of: script, url: url, host: endpoint.host)
            } catch {
                latest.withLock { $0 = nil }
                throw error
            }
            let answer = ProxyScriptAnswer(text)
            let shown = text.escapedForDisplay()
            logger.debug("proxy script's answer", metadata: ["script": "\(location)", "answer": "\(shown)"])
            if answer.passedOver > 0 {
                logger.warning(
                    "the proxy script's answer has entries that are passed over",
                    metadata: ["script": "\(location)", "answer": "\(shown)"]
                )
            }
            return answer.choices
        } catch {
            let failure = Self.failure(error)
            throw DialError(
                hop: .proxyScript,
                endpoint: endpoint.description,
                proxy: nil,
                answer: "\(location): \(failure.reason)",
                remedy: failure.remedy,
                disposition: failure.isConfigurationError ? .configuration : .retry
            )
        }
    }

    /// The script's text, fetched or read again if it is old.
    private func script() async throws -> [UInt8] {
        let known = latest.withLock { $0 }
        if let known, known.isFresh, known.readAt.duration(to: .now) < freshness { return known.bytes }
        do {
            let (bytes, isFromFile) = try await read()
            guard !bytes.contains(0) else {
                throw ProxyScriptFailure(
                    reason: "this is not a script: there is a NUL in it",
                    remedy: "check the address"
                )
            }
            // Engines treat a byte order mark as a syntax error.
            let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
            let script = bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
            latest.withLock { $0 = Text(bytes: script, readAt: .now, isFresh: !isFromFile) }
            return script
        } catch {
            guard !(error is CancellationError), let known else { throw error }
            latest.withLock { $0?.isFresh = false }
            let failure = Self.failure(error)
            logger.warning(
                "the proxy script cannot be read; the earlier one is used",
                metadata: ["script": "\(location)", "reason": "\(failure)"]
            )
            return known.bytes
        }
    }

    private func read() async throws -> (bytes: [UInt8], isFromFile: Bool) {
        switch location.source {
        case .file(let path):
            return (try await ProxyScriptFile(path: path, limit: Self.limit).bytes(), true)
        case .http(let host, let port, let target):
            let page = ProxyScriptPage(
                host: host,
                port: port,
                authority: location.authority,
                target: target,
                limit: Self.limit
            )
            return (try await page.bytes(), false)
        }
    }

    private static func failure(_ error: any Error) -> ProxyScriptFailure {
        error as? ProxyScriptFailure
            ?? ProxyScriptFailure(
                reason: error.userDescription.escapedForDisplay(),
                remedy: "name the proxy itself with --proxy"
            )
    }
}
