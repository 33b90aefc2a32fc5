import ProxyConnect
import TunnelCore

/// Turns what a dial has shown of its hops into checks.
struct HopChecks {
    /// The time for a connect that a user notices.
    static let slowConnect = Duration.seconds(1)

    let trust: TLSTrust
    let proxy: ProxyURL?
    /// Seconds since 1970.
    let now: Int64

    /// The check of a hop that was passed. Reads files: not for an event loop.
    func check(_ fact: HopFact) -> DiagnosisCheck {
        let name = fact.hop.checkName
        let time = fact.time.shown
        let figures = ["ms": fact.time.milliseconds]
        switch fact.content {
        case .lookedUp(let host, let addresses):
            let shown = addresses.prefix(4).joined(separator: ", ")
            return DiagnosisCheck(name, .ok, "\(host) is \(shown) (\(time))", figures: figures)
        case .connected(let address):
            guard fact.time >= Self.slowConnect else {
                return DiagnosisCheck(name, .ok, "\(address) in \(time)", figures: figures)
            }
            return DiagnosisCheck(
                name,
                .warn,
                "\(address) in \(time)",
                remedy:
                    "an address of the name may be dead, or packets get lost on the way: try each with --connect-to",
                figures: figures
            )
        case .proxied(let passage):
            return proxied(passage, time, figures)
        case .secured(let facts):
            return secured(facts, name, time, figures)
        case .upgraded(let answer):
            let boxes = [answer.server.map { "Server: \($0)" }, answer.via.map { "Via: \($0)" }].compactMap { $0 }
            let shown = boxes.isEmpty ? "" : ", \(boxes.joined(separator: ", "))"
            return DiagnosisCheck(name, .ok, "101 in \(time)\(shown)", figures: figures)
        case .session(let software, let key, _):
            let seal = key.map { "sealed with the key \($0.fingerprint)" } ?? "not sealed"
            return DiagnosisCheck(
                name,
                .ok,
                "\(software) has proved that it knows the token (\(time)); the session is \(seal)",
                figures: figures
            )
        }
    }

    private func proxied(_ passage: ProxyPassage, _ time: String, _ figures: [String: Double]) -> DiagnosisCheck {
        var parts: [String] = [passage.answer?.statusLine ?? "the tunnel is open"]
        if !passage.offeredSchemes.isEmpty {
            parts.append("it offers \(passage.offeredSchemes.joined(separator: ", "))")
        }
        if let scheme = passage.scheme { parts.append("\(scheme.displayName) was used") }
        if let left = passage.ticketLifetime { parts.append("the ticket ends in \(left.shown)") }
        if passage.requests > 1 { parts.append("\(passage.requests) requests") }
        let fact = "\(parts.joined(separator: "; ")) (\(time))"
        if let left = passage.ticketLifetime, left < .seconds(600) {
            let remedy = "get another ticket with kinit, or let a keytab renew it"
            return DiagnosisCheck("proxy", .warn, fact, remedy: remedy, figures: figures)
        }
        if passage.scheme == .basic, proxy?.scheme != .https {
            let remedy =
                "any machine on the way to the proxy can read the password: ask its administrators for Negotiate, Digest or "
                + "an https:// proxy"
            return DiagnosisCheck("proxy", .warn, fact, remedy: remedy, figures: figures)
        }
        return DiagnosisCheck("proxy", .ok, fact, figures: figures)
    }

    private func secured(
        _ facts: HopFact.TLSFacts,
        _ name: String,
        _ time: String,
        _ figures: [String: Double]
    ) -> DiagnosisCheck {
        guard let origin = CertificateOrigin(facts.certificates, trust) else {
            return DiagnosisCheck(name, .ok, "\(facts.version) (\(time))", figures: figures)
        }
        var fact = "\(facts.version), \(facts.host), certificate of \(origin.issuer)"
        if origin.root != origin.issuer { fact += " below \(origin.root)" }
        fact += ", valid for \(origin.left(now: now)) (\(time))"
        var figures = figures
        figures["certificate_expires"] = Double(origin.expires)
        if origin.isDue(now: now) {
            let who = facts.isProxy ? "the proxy" : "the server"
            let remedy = "ask the administrators of \(who) to renew its certificate"
            return DiagnosisCheck(name, .warn, fact, remedy: remedy, figures: figures)
        }
        guard !facts.isProxy, proxy != nil, origin.trust == .given || origin.trust == .added else {
            return DiagnosisCheck(name, .ok, fact, figures: figures)
        }
        let place = origin.trust == .given ? "given with --ca" : "added to this machine's store"
        return DiagnosisCheck(name, .ok, "\(fact); the CA is a private one, \(place)", figures: figures)
    }

    /// The check of a hop at which a dial has failed.
    ///
    /// - Parameter isLast: whether no other way is left. The client tries the next one too, so that this is a warning.
    static func check(_ error: DialError, isLast: Bool = true) -> DiagnosisCheck {
        let place = error.proxy.map { "\(error.endpoint) through proxy \($0)" } ?? error.endpoint
        var check = DiagnosisCheck.failed(
            error.hop.checkName,
            error.disposition.consequence,
            "\(place): \(error.answer)",
            remedy: remedy(error),
            lines: error.hop == .upgrade && error.isAboutUpgrade ? FrontLines.upgrade(error.answer) : nil
        )
        if !isLast { (check.verdict, check.consequence) = (.warn, nil) }
        return check
    }

    private static func remedy(_ error: DialError) -> String? {
        if !error.remedy.isEmpty { return error.remedy }
        guard error.hop == .session else { return nil }
        return error.answer.contains("as many sessions")
            ? "a running client has them; raise sessions_per_client in [limits] of the server to let the doctor in"
            : "run the doctor again; if this remains, look into the server's log"
    }

    /// The error of a way that took too long in all, at the hop after the last one that was passed.
    static func late(_ way: DialWay, after last: HopFact?, _ configuration: ClientConfiguration) -> DialError {
        let proxy: ProxyURL? = if case .proxy(let url) = way.choice { url } else { nil }
        let afterProxy: DialError.Hop = way.endpoint.isSecure ? .tls : .upgrade
        let afterConnect: DialError.Hop = proxy.map { $0.scheme == .https ? .proxyTLS : .proxy } ?? afterProxy
        let hop: DialError.Hop =
            switch last?.hop {
            case nil, .proxyScript: .lookup
            case .lookup: .connect
            case .connect: afterConnect
            case .proxyTLS: .proxy
            case .proxy: afterProxy
            case .tls: .upgrade
            case .upgrade, .session: .session
            }
        return DialError(
            hop: hop,
            endpoint: way.endpoint.description,
            proxy: proxy?.redacted,
            answer: "no end within \(Diagnosis.reachTime.shown) in all",
            remedy: "a hop above is slow: begin with the slowest; the client itself waits 10 s for each",
            disposition: .retry
        )
    }
}

extension DialError.Hop {
    /// The name of the hop's check.
    var checkName: String {
        switch self {
        case .proxyScript: "script"
        case .lookup: "lookup"
        case .connect: "connect"
        case .proxyTLS: "proxy TLS"
        case .proxy: "proxy"
        case .tls: "TLS"
        case .upgrade: "upgrade"
        case .session: "session"
        }
    }
}

extension DialError {
    /// Whether a front that does not pass the upgrade on may be the reason.
    fileprivate var isAboutUpgrade: Bool {
        disposition == .notOursAtFirst && !answer.contains("HTTP 404") && !answer.contains("HTTP 2")
    }
}

extension DialError.Disposition {
    fileprivate var consequence: DiagnosisCheck.Consequence {
        switch self {
        case .retry: .unreachable
        case .refused, .refusedAtFirst: .refused
        case .notOurs, .notOursAtFirst: .notOurs
        case .configuration: .configuration
        }
    }
}
