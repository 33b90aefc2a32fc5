import ProxyConnect
import Tunnel

/// The settings of TLS and of the proxies.
extension ClientSettings {
    /// Trust, certificates, the ClientHello, and the address to dial.
    func readTLS(_ result: inout ClientConfiguration) {
        let trust = problems.attempt(flags.ca.isEmpty ? file : nil, "ca_only", "ca") { () throws(Failure) in
            try TLSFiles.trust(
                authorities: flags.ca.isEmpty ? settings?.ca ?? [] : flags.ca,
                only: flags.caOnly || settings?.caOnly ?? false
            )
        }
        if let trust { result.trust = trust }
        let options = problems.attempt(file, "tls_groups", "tls_max_version") { () throws(Failure) in
            let groups = try flags.tlsGroups.map { text throws(Failure) in
                try TLSOptions.groups(text) { Failure(.configuration, "--tls-groups: \($0)") }
            }
            let newest = try flags.tlsMaxVersion.map { text throws(Failure) in
                try TLSOptions.version(text) { Failure(.configuration, "--tls-max-version: \($0)") }
            }
            return try TLSOptions.client(groups ?? settings?.tlsGroups, newest ?? settings?.tlsMaximum)
        }
        result.connectTo = settings?.connectTo
        if let connectTo = flags.connectTo {
            let address = problems.attempt(nil) { () throws(Failure) in
                try TLSOptions.address(connectTo) { Failure(.configuration, "--connect-to: \($0)") }
            }
            result.connectTo = address ?? result.connectTo
        }
        guard let options else { return }
        let proxyTLS = problems.attempt(file, "proxy_key", "proxy_certificate") { () throws(Failure) in
            try TLSFiles.identified(
                options,
                certificate: flags.proxyCertificate ?? settings?.proxyCertificate,
                key: flags.proxyKey ?? settings?.proxyKey,
                flags: "--proxy-certificate and --proxy-key"
            )
        }
        let tls = problems.attempt(file, "tls_key", "tls_certificate") { () throws(Failure) in
            try TLSFiles.identified(
                options,
                certificate: flags.tlsCertificate ?? settings?.tlsCertificate,
                key: flags.tlsKey ?? settings?.tlsKey,
                flags: "--tls-certificate and --tls-key"
            )
        }
        result.proxyTLS = proxyTLS ?? options
        result.tls = tls ?? options
    }

    /// The proxies, their credentials and their schemes.
    func readProxies(_ result: inout ClientConfiguration) {
        let credentials = problems.attempt(file, "proxy_user", "proxy_password_file") { () throws(Failure) in
            try SecretFile.proxyCredentials(
                user: flags.proxyUser ?? settings?.proxyUser,
                passwordFile: flags.proxyPasswordFile ?? settings?.proxyPasswordFile,
                netrc: flags.netrc || settings?.netrc ?? false
            )
        }
        if let credentials { result.proxyCredentials = credentials }
        if let auth = flags.proxyAuth ?? settings?.proxyAuth {
            let schemes = problems.attempt(flags.proxyAuth == nil ? file : nil, "proxy_auth") { () throws(Failure) in
                try ClientOptions.schemes(auth) { (problem: String) -> Failure in Failure(.configuration, problem) }
            }
            if let schemes { result.proxySchemes = schemes }
        }
        let endpoints = result.endpoints
        let proxies = problems.attempt(flags.proxy.isEmpty ? file : nil, "proxy") { () throws(Failure) in
            try self.proxies(for: endpoints)
        }
        if let proxies { result.proxies = proxies }
    }

    /// Where the choice of the proxies comes from, for a person.
    func proxyReason(_ endpoints: [EndpointURL]) -> String {
        if !flags.proxy.isEmpty { return flags.proxy.count > 1 ? "\(flags.proxy.count) times --proxy" : "--proxy" }
        if settings?.proxy.isEmpty == false { return "proxy in the configuration" }
        let environment = ProxyEnvironment(ProcessEnvironment.all)
        guard let endpoint = endpoints.first else { return "the environment" }
        switch environment.reason(for: endpoint) {
        case .variable(let name): return "the variable \(name)"
        case .exempt(let name): return "the variable \(name) exempts \(endpoint.host)"
        case .none: return "no variable names a proxy"
        }
    }

    /// Chooses the proxies of a dial: those of the flag or the file, otherwise those of the environment for the
    /// endpoint's scheme and name.
    private func proxies(
        for endpoints: [EndpointURL]
    ) throws(Failure) -> @Sendable (EndpointURL) async throws -> [ProxyChoice] {
        let named = flags.proxy.isEmpty ? settings?.proxy ?? [] : flags.proxy
        if !named.isEmpty {
            var sources: [ProxySource] = []
            for text in named {
                do throws(ProxySource.Malformed) {
                    sources.append(try ProxySource(text))
                } catch {
                    throw Failure(.configuration, flags.proxy.isEmpty ? "\(error)" : "proxy: \(error)")
                }
            }
            let logger = try StandardErrorLog.logger(flags.log)
            let all = ProxySources(sources, engine: ProxyScriptProcess(), logger: logger)
            return { try await all.choices(for: $0) }
        }
        do throws(ProxyEnvironment.Failure) {
            return try ProxyEnvironment(ProcessEnvironment.all).choices(for: endpoints)
        } catch {
            throw Failure(.configuration, "the environment's \(error)")
        }
    }
}
