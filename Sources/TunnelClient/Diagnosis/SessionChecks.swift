import HTTPRelay
import Mux
import NIOCore
import TunnelCore

/// Checks that need a session: clock, front, rights, destinations.
struct SessionChecks {
    /// The difference of two clocks that a warning is worth. Kerberos allows five minutes, and certificates have days.
    static let clockTolerance = 30.0

    let configuration: ClientConfiguration
    let facts: ServerFacts
    let hops: [HopFact]

    /// The clock against the server's.
    ///
    /// - Parameters:
    ///   - asked: this machine's time when the question left, in milliseconds since 1970.
    ///   - answered: the same when the answer came.
    func clock(asked: Int64, answered: Int64) -> DiagnosisCheck? {
        guard let server = facts.number("time") else { return nil }
        let seconds = Double((asked + answered) / 2 - server) / 1_000
        let figures = ["ahead_s": seconds]
        guard abs(seconds) > Self.clockTolerance else {
            let shown = (abs(seconds) * 10).rounded() / 10
            return DiagnosisCheck("clock", .ok, "within \(shown) s of the server's", figures: figures)
        }
        let text = "\(Int(abs(seconds))) s \(seconds > 0 ? "ahead of" : "behind") the server's"
        let remedy = "let both clocks be set by NTP (timedatectl): certificates and Kerberos need the right time"
        return DiagnosisCheck("clock", .warn, text, remedy: remedy, figures: figures)
    }

    /// Whether the server knows the client's address.
    func front() -> DiagnosisCheck {
        let (address, socket) = (facts["address"], facts["socket"])
        let boxes = hops.lazy.compactMap { fact -> UpgradeAnswer? in
            if case .upgraded(let answer) = fact.content { answer } else { nil }
        }.first
        let product = [boxes?.server, boxes?.via].compactMap { $0 }.joined(separator: " ")
        switch facts["front"] {
        case "trusted":
            return DiagnosisCheck("front", .ok, "at \(socket), which reports \(facts["reported"])")
        case "untrusted":
            let place = socket.hasPrefix("unix") ? "unix" : Self.host(socket)
            return DiagnosisCheck(
                "front",
                .warn,
                "\(socket) reports \(facts["reported"]), and the server does not believe it: all clients share one address",
                remedy: "start the server with --trusted-front \(place) (trusted_front in its configuration)"
            )
        default:
            guard !product.isEmpty || isTLSEndedBefore else {
                return DiagnosisCheck("front", .ok, "none; the server sees \(address)")
            }
            return DiagnosisCheck(
                "front",
                .warn,
                "\(product.isEmpty ? "what speaks TLS before the server" : product) does not report this client's address: all clients share \(address)",
                remedy: "let the front add the field, and start the server with --trusted-front \(Self.host(socket))",
                lines: FrontLines.forwardedFor(product)
            )
        }
    }

    /// Whether TLS was spoken and the server speaks none, so that a front does.
    private var isTLSEndedBefore: Bool { certificates != nil && facts["certificate"].isEmpty }

    /// The certificates that came as the server's, its own first.
    private var certificates: [[UInt8]]? {
        hops.lazy.compactMap { fact in
            if case .secured(let tls) = fact.content, !tls.isProxy { tls.certificates } else { nil }
        }.first
    }

    /// Whether something on the way has exchanged the server's certificate; nil if that cannot be known.
    func inspection() -> DiagnosisCheck? {
        guard let leaf = certificates?.first, facts["front"] == "none", !facts["certificate"].isEmpty,
            TLSIdentity.fingerprint(of: leaf) != facts["certificate"]
        else { return nil }
        return DiagnosisCheck(
            "inspection",
            .warn,
            "the certificate that arrived is not the server's: a box on the way reads what the tunnel carries",
            remedy:
                "carry protocols that protect themselves, such as ssh or TLS, or ask for an exception for this server"
        )
    }

    /// The client's rights for its tunnels.
    func rights() -> [DiagnosisCheck] {
        let bandwidth = facts.number("bandwidth").map { ", \(shownRate(Double($0)))" } ?? ""
        let expires = facts.number("expires").map { ", for \(max(0, $0 - WallClock.unixSeconds) / 86_400) days" } ?? ""
        let names = facts["names"].isEmpty ? "" : "names \(facts["names"]), "
        let general =
            "client \(facts["client"]): ports \(facts["ports"]) on \(facts["public-address"]), "
            + "\(names)\(facts["destinations"]) destinations\(bandwidth)\(expires)"
        return [DiagnosisCheck("rights", .ok, general)] + configuration.tunnels.compactMap(port)
            + configuration.tunnels.compactMap(name)
    }

    private func port(_ spec: TunnelSpec) -> DiagnosisCheck? {
        guard spec.port > 0 else { return nil }
        let name = Self.portName(spec)
        switch facts.ports[name] {
        case "denied":
            return .failed(
                "port",
                .refused,
                "\(name) is not among the ports that this client may have: \(facts["ports"])",
                remedy: "choose another port, or ask the server's operator for allow_ports"
            )
        case "taken":
            return .failed(
                "port",
                .unreachable,
                "\(name) is taken at the server",
                remedy: "choose another port, or ask the server's operator which client has it"
            )
        case "own": return DiagnosisCheck("port", .ok, "\(name) is public, for a running client of this token")
        case "free": return DiagnosisCheck("port", .ok, "\(name) is free and allowed")
        default: return nil
        }
    }

    /// Whether the client may have a tunnel's host name.
    private func name(_ spec: TunnelSpec) -> DiagnosisCheck? {
        guard let request = spec.name, var name = PublicName(request.name) else { return nil }
        if name.isShort, let whole = PublicName(facts["names-domain"]).flatMap(name.below) { name = whole }
        let patterns = facts["names"].split(separator: " ").compactMap { NamePattern(String($0)) }
        guard patterns.contains(where: { $0.covers(name) }) else {
            let own = facts["names"].isEmpty ? "none" : facts["names"]
            return .failed(
                "name",
                .refused,
                "\(name) is not among the host names that this client may have: \(own)",
                remedy: "choose another name, or ask the server's operator for allow_names"
            )
        }
        return DiagnosisCheck("name", .ok, "\(name) is allowed")
    }

    /// The name of a tunnel's port in a request for facts.
    static func portName(_ spec: TunnelSpec) -> String {
        spec.transport == .udp ? "\(spec.port)/udp" : "\(spec.port)"
    }

    /// The check of a destination that a forward leads to.
    static func destination(_ destination: Destination, _ answer: StreamPipe.StreamAnswer) -> DiagnosisCheck {
        switch answer {
        case .accepted:
            return DiagnosisCheck("destination", .ok, "the server reaches \(destination)")
        case .refused(.notAllowed):
            return .failed(
                "destination",
                .refused,
                "the server does not let this client connect to \(destination)",
                remedy: "its operator can allow it with allow_connect or --allow-connect"
            )
        case .refused(let code):
            return .failed(
                "destination",
                .unreachable,
                "\(destination): \(code)",
                remedy: "check the destination from the server's machine"
            )
        }
    }

    /// The host of `host:port`.
    private static func host(_ socket: String) -> String {
        guard let colon = socket.lastIndex(of: ":") else { return socket }
        return socket[..<colon].filter { $0 != "[" && $0 != "]" }
    }
}
