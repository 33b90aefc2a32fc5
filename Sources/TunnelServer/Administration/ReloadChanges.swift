import NIOSSL
import TunnelAdmin
import TunnelCore

/// Compares two configurations of a server for the operator who has reloaded it. Pure.
enum ReloadChanges {
    static func result(from old: ServerConfiguration, to new: ServerConfiguration) -> ReloadResult {
        ReloadResult(changes: clients(old.clients, new.clients) + others(old, new), restart: restart(old, new))
    }

    /// Clients by their names. Two entries of one name are compared in their order.
    private static func clients(_ old: [ClientRights], _ new: [ClientRights]) -> [String] {
        let before = Dictionary(grouping: old, by: \.name)
        let after = Dictionary(grouping: new, by: \.name)
        var changes: [String] = []
        for name in (Set(before.keys).union(after.keys)).sorted() {
            let (was, now) = (before[name] ?? [], after[name] ?? [])
            let shown = "client \(name.escapedForDisplay())"
            if was.isEmpty {
                changes.append("\(shown) added")
            } else if now.isEmpty {
                changes.append("\(shown) removed")
            } else if was != now {
                let tokens = was.map(\.verifiers) == now.map(\.verifiers) ? "" : ": \(tokenChange(was, now))"
                changes.append("\(shown) changed\(tokens)")
            }
        }
        return changes
    }

    private static func tokenChange(_ was: [ClientRights], _ now: [ClientRights]) -> String {
        let before = Set(was.flatMap(\.verifiers).map(\.id))
        let after = Set(now.flatMap(\.verifiers).map(\.id))
        let (added, removed) = (after.subtracting(before).count, before.subtracting(after).count)
        switch (added, removed) {
        case (1..., 0): return "another token is accepted"
        case (0, 1...): return "a token is not accepted any more"
        case (0, 0): return "the order of its tokens"
        default: return "another token in place of the old one"
        }
    }

    private static func others(_ old: ServerConfiguration, _ new: ServerConfiguration) -> [String] {
        var changes: [String] = []
        func note(_ key: String, _ isEqual: Bool) { if !isEqual { changes.append("\(key) changed") } }
        note("path", old.path == new.path)
        note("allow_ports", old.allowedPorts == new.allowedPorts)
        note("allow_connect", old.destinations == new.destinations)
        note("allow_names", old.names == new.names && old.httpDomain == new.httpDomain)
        note("[[certificate]]", certificates(old) == certificates(new))
        note(
            "redirect_https or endpoint_host",
            old.redirectsToHTTPS == new.redirectsToHTTPS && old.endpointHost == new.endpointHost
        )
        note("unix_directory", old.unixDirectory == new.unixDirectory && old.unixAccess == new.unixAccess)
        note("the limits of visitors", old.visitors == new.visitors)
        note("backend", old.backend == new.backend)
        note(
            "trusted_front",
            old.trustedFronts == new.trustedFronts && old.hasFrontsOnPublicPorts == new.hasFrontsOnPublicPorts
        )
        note("allow_origin", old.allowedOrigins == new.allowedOrigins)
        note("the certificate", certificate(old) == certificate(new))
        note("tls_client_ca", old.clientTrust?.authorities == new.clientTrust?.authorities)
        note("[limits]", old.limits == new.limits && old.serverLimits == new.serverLimits)
        return changes
    }

    private static func certificate(_ configuration: ServerConfiguration) -> String? {
        configuration.tls.flatMap { TLSIdentity.fingerprint(of: $0) }
    }

    private static func certificates(_ configuration: ServerConfiguration) -> [String?] {
        configuration.certificates.map { TLSIdentity.fingerprint(of: $0) }
    }

    /// What the listening sockets and the event loops keep.
    private static func restart(_ old: ServerConfiguration, _ new: ServerConfiguration) -> [String] {
        var keys: [String] = []
        func note(_ key: String, _ isEqual: Bool) { if !isEqual { keys.append("\(key) changes with a restart only") } }
        note("listen", old.listen == new.listen && old.listenAccess == new.listenAccess)
        note("http_listen", old.httpListen == new.httpListen)
        note("https_listen", old.httpsListen == new.httpsListen)
        note("[acme]", old.acme == new.acme)
        note("listen_queue", old.serverLimits.listenQueue == new.serverLimits.listenQueue)
        note("public_address", old.publicAddress == new.publicAddress)
        note("admin", old.admin == new.admin)
        note("encryption", old.encryption == new.encryption)
        note("key_file", old.serverKey == new.serverKey)
        note("TLS", (old.tls == nil) == (new.tls == nil))
        return keys
    }
}
