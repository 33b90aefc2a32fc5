import Foundation

/// A web server whose front configuration is in Fixtures.
public enum FrontProgram: String, Sendable, CaseIterable {
    case nginx
    case haproxy
    case caddy
    case apache

    /// The program.
    public var program: Program {
        switch self {
        case .nginx: .nginx
        case .haproxy: .haproxy
        case .caddy: .caddy
        case .apache: .apache
        }
    }

    /// Starts the front with TLS and default timeouts on a free port.
    ///
    /// - Parameter upstream: the server's port.
    public func front(of upstream: UInt16, in scenario: Scenario) async throws -> any Front {
        switch self {
        case .nginx: try await Nginx.front(of: upstream, in: scenario)
        case .haproxy: try await HAProxy.front(of: upstream, in: scenario)
        case .caddy: try await Caddy.front(of: upstream, in: scenario)
        case .apache: try await Apache.front(of: upstream, in: scenario)
        }
    }
}

/// A running front on loopback.
public protocol Front: Sendable {
    /// The process that reloads.
    var process: ChildProcess { get }
    /// The port on which it listens.
    var port: UInt16 { get }
    /// Its certificate, and the CA for it.
    var certificate: Certificate? { get }
    /// The access log's lines of WebSocket connections. A front writes them after the connection has ended.
    var upgrades: [String] { get }
    /// Starts a reload of the configuration and the certificate. It may take effect later.
    func reload(in scenario: Scenario) async throws
}

extension Front {
    /// The URL of the server through the front.
    public var url: String { "wss://localhost:\(port)" }

    /// The CA of its certificate; empty without TLS.
    public var authority: String { certificate?.authority ?? "" }
}

extension Certificate {
    /// Copies the certificate to files of the front, which can be overwritten. The certificate's file also has the key.
    func installed(in folder: String, of scenario: Scenario) throws -> Certificate {
        let own = Certificate(authority: authority, certificate: "\(folder)/tls.pem", key: "\(folder)/tls.key")
        try replace(own, in: scenario)
        return own
    }

    /// Overwrites a certificate that a front uses, as a renewal does.
    public func replace(_ other: Certificate, in scenario: Scenario) throws {
        let key = try String(contentsOfFile: key, encoding: .utf8)
        try scenario.write(String(contentsOfFile: certificate, encoding: .utf8) + key, to: other.certificate)
        try scenario.write(key, to: other.key)
    }
}
