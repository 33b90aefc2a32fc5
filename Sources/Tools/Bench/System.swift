import ArgumentParser
import TestSupport

/// A path from the visitors to the backend.
enum System: String, CaseIterable, ExpressibleByArgument, Sendable {
    case direct
    case haproxy
    case ssh
    case culvert
    case culvertSealed = "culvert-sealed"
    case culvertLocal = "culvert-local"
    case haproxyTLS = "haproxy-tls"
    case culvertTLS = "culvert-tls"
    case culvertProxy = "culvert-proxy"
    case socat

    /// A description for the head of the report.
    var summary: String {
        switch self {
        case .direct: "no tunnel"
        case .haproxy: "two HAProxy in a row, plain TCP, a connection for each visitor"
        case .ssh: "`ssh -R` to an sshd, its default cipher"
        case .culvert: "client and server, `ws://`, `-R`"
        case .culvertSealed: "the same, sealed end to end"
        case .culvertLocal: "the first with `-L`"
        case .haproxyTLS: "two HAProxy with TLS between them, a connection for each visitor"
        case .culvertTLS: "client and server, `wss://`, the server with its certificate"
        case .culvertProxy: "client, Squid by CONNECT, nginx with TLS, server"
        case .socat: "two socat in a row, UDP"
        }
    }

    /// The programs that must be installed.
    private var programs: [Program] {
        switch self {
        case .direct, .culvert, .culvertSealed, .culvertLocal: []
        case .socat: [.socat]
        case .haproxy: [.haproxy]
        case .ssh: [.ssh, .sshd, .sshKeygen]
        case .haproxyTLS: [.haproxy, .openssl]
        case .culvertTLS: [.openssl]
        case .culvertProxy: [.squid, .nginx, .openssl]
        }
    }

    /// The reason why the system cannot be measured here; nil if it can.
    var notReadyReason: String? {
        if let missing = programs.first(where: { $0.path == nil }) {
            return "\(missing) is not installed (apt-get install \(missing.package))"
        }
        switch self {
        case .culvert, .culvertSealed, .culvertLocal, .culvertTLS, .culvertProxy:
            do { _ = try CulvertExecutable.path() } catch { return "\(error)" }
        case .direct, .haproxy, .ssh, .haproxyTLS, .socat: break
        }
        return nil
    }
}

/// A running system.
struct RunningSystem: Sendable {
    /// The port for visitors.
    let port: UInt16
    /// The processes of the tunnel.
    var tunnel: [ChildProcess] = []
    /// The processes on the tunnel's path: the proxy, the front.
    var hops: [ChildProcess] = []
}

extension System {
    /// Starts the system for a backend, and waits until visitors can connect.
    func start(before backend: UInt16, in scenario: Scenario) async throws -> RunningSystem {
        switch self {
        case .direct: RunningSystem(port: backend)
        case .haproxy: try await HAProxyChain.start(before: backend, hasTLS: false, in: scenario)
        case .haproxyTLS: try await HAProxyChain.start(before: backend, hasTLS: true, in: scenario)
        case .ssh: try await SSHTunnel.start(before: backend, in: scenario)
        case .culvert: try await CulvertTunnel.plain(before: backend, in: scenario)
        case .culvertSealed: try await CulvertTunnel.sealed(before: backend, in: scenario)
        case .culvertLocal: try await CulvertTunnel.local(before: backend, in: scenario)
        case .culvertTLS: try await CulvertTunnel.secure(before: backend, in: scenario)
        case .culvertProxy: try await CulvertTunnel.proxied(before: backend, in: scenario)
        case .socat: try await SocatChain.start(before: backend, in: scenario)
        }
    }
}
