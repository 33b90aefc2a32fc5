import Foundation

/// What stands before the server in the tests: the configurations in Fixtures, each with the program that reads it.
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

    /// Starts it as a user would, on another port: TLS, stock timeouts.
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
    /// The process that is told to reload.
    var process: ChildProcess { get }
    /// Where it listens.
    var port: UInt16 { get }
    /// Its certificate, and the CA for it.
    var certificate: Certificate? { get }
    /// The access log's lines of WebSockets, written when the connection has ended.
    var upgrades: [String] { get }
    /// Tells it to read its configuration and its certificate again. That takes its time.
    func reload(in scenario: Scenario) async throws
}

extension Front {
    /// The server's URL behind it.
    public var url: String { "wss://localhost:\(port)" }

    /// The CA for its certificate; empty where it speaks no TLS.
    public var authority: String { certificate?.authority ?? "" }
}

extension Certificate {
    /// The same in files of a front's own, which another can be written to: the first of them holds the key as well.
    func installed(in folder: String, of scenario: Scenario) throws -> Certificate {
        let own = Certificate(authority: authority, certificate: "\(folder)/tls.pem", key: "\(folder)/tls.key")
        try replace(own, in: scenario)
        return own
    }

    /// Writes this one over another, which a front has been told to use: a renewal.
    public func replace(_ other: Certificate, in scenario: Scenario) throws {
        let key = try String(contentsOfFile: key, encoding: .utf8)
        try scenario.write(String(contentsOfFile: certificate, encoding: .utf8) + key, to: other.certificate)
        try scenario.write(key, to: other.key)
    }
}
