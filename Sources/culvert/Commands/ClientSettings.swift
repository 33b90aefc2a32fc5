import HTTP1
import Mux
import Tunnel

/// Makes a client's configuration from its flags, the environment and its file.
///
/// A flag wins over the environment, and the environment wins over the file. Mistakes go into ``problems``.
struct ClientSettings {
    let flags: ClientOptions
    /// The values of the file; nil without a file.
    let settings: ClientFile?
    /// The file itself, for the lines of its keys.
    let file: ConfigurationFile?
    let problems: ConfigurationProblems
    /// Whether a configuration without tunnels and forwards is a mistake.
    private let needsForwards: Bool

    init(_ flags: ClientOptions, _ problems: ConfigurationProblems, needsForwards: Bool = true) {
        self.flags = flags
        self.needsForwards = needsForwards
        self.problems = problems
        file = flags.config.map { ConfigurationFile(path: $0, problems) }
        settings = file.map { ClientFile($0) }
        if let config = flags.config, settings?.holdsSecret == true {
            SecretFile.warnIfOthersCanRead(config, what: "configuration")
        }
    }

    /// The whole configuration. A value with a mistake has its default.
    func configuration() -> ClientConfiguration {
        let endpoints = endpoints()
        let tunnels = tunnels()
        let forwards = forwards()
        if needsForwards, tunnels.isEmpty, forwards.isEmpty, flags.stdio == nil, settings?.hasTunnels != true,
            settings?.hasForwards != true
        {
            problems.addMissing("no tunnel or forward, by [[tunnel]], [[forward]] or socks, or by -R, -L, -D or -W")
        }
        let token = problems.attempt(flags.tokenFile == nil ? file : nil, "token", "token_file") { () throws(Failure) in
            try SecretFile.token(
                file: flags.tokenFile,
                configured: (settings?.tokenFile, settings?.token),
                // The doctor makes no file, and proves the token that the client would.
                isTrial: problems.isTrial && needsForwards
            )
        }
        let name = name()
        var result = ClientConfiguration(
            endpoints: endpoints,
            tunnels: tunnels,
            token: token ?? nil,
            instance: identity(name)
        )
        result.name = name
        result.forwards = forwards
        result.openDestinations = openDestinations()
        result.exitsOnForwardFailure = flags.exitOnForwardFailure || settings?.exitOnForwardFailure ?? false
        if let budget = SystemMemory().budget { result.clientLimits.memory = budget.bytes }
        if let file { LimitReader.apply(file, to: &result) }
        checkNumber(of: tunnels, result.limits.tunnels)
        result.pollsBusily = settings?.busyPolling ?? false
        result.isCompressing = flags.compress || settings?.compress ?? false
        result.sharesCompression = settings?.compressShared ?? false
        result.admin = admin(name)
        result.maximumRetries = flags.maxRetries ?? settings?.maxRetries
        result.exitsOnRefusal = flags.exitOnRefusal || settings?.exitOnRefusal ?? false
        result.maximumCarrierAge = (try? flags.carrierAge()) ?? settings?.maxCarrierAge
        result.carriers = (try? flags.carrierCount()) ?? settings?.carriers ?? result.carriers
        result.carriersOver = (try? flags.carrierSpread()) ?? settings?.carriersOver ?? result.carriersOver
        result.servers = settings?.servers ?? result.servers
        result.userAgent = flags.userAgent ?? settings?.userAgent ?? result.userAgent
        result.fields = fields(flags.header, settings?.header, "header")
        result.proxyFields = fields(flags.proxyHeader, settings?.proxyHeader, "proxy_header")
        readEncryption(&result)
        readTLS(&result)
        readProxies(&result)
        return result
    }

    /// The seal, and the keys of servers.
    private func readEncryption(_ result: inout ClientConfiguration) {
        result.encryption = (try? flags.encryptionPolicy()) ?? settings?.encryption ?? result.encryption
        result.serverKeys = flags.serverKey.isEmpty ? settings?.serverKeys ?? [] : (try? flags.serverKeys()) ?? []
        if result.encryption != .off, let path = StateFolder.ofThisProcess.knownServers {
            result.knownServers = KnownServers(path: path, isReadOnly: problems.isTrial)
        }
        let conflict = EncryptionOptions.conflict(
            result.encryption,
            hasKeys: !result.serverKeys.isEmpty,
            isCompressing: result.isCompressing
        )
        guard let conflict else { return }
        let key = [conflict.key, "encryption"].first { file?.has($0) == true }
        if let file, let key {
            file.report(key, "\(conflict.flags): \(conflict.description)")
        } else {
            problems.add(Failure(.configuration, "\(conflict.flags): \(conflict.description)"))
        }
    }

    private func endpoints() -> [EndpointURL] {
        var endpoints: [EndpointURL] = []
        let texts = flags.url.isEmpty ? settings?.url ?? [] : flags.url
        for text in texts {
            do throws(EndpointURL.Malformed) {
                endpoints.append(try EndpointURL(text))
            } catch {
                // Those of the file have been reported with their lines.
                if !flags.url.isEmpty { problems.add(Failure(.configuration, error.description)) }
            }
        }
        if texts.isEmpty { problems.addMissing("no server's URL, in the configuration or as argument") }
        return endpoints
    }

    private func tunnels() -> [TunnelSpec] {
        // With -W, the process has that one stream alone.
        guard !flags.remote.isEmpty else { return flags.stdio == nil ? settings?.tunnels ?? [] : [] }
        let tunnels = problems.attempt(nil) { () throws(Failure) in
            do {
                return try flags.tunnels()
            } catch {
                throw Failure(.configuration, "\(error)")
            }
        }
        return tunnels ?? []
    }

    private func forwards() -> [ForwardSpec] {
        guard flags.local.isEmpty, flags.dynamic.isEmpty else {
            let forwards = problems.attempt(nil) { () throws(Failure) in
                let forwards: [ForwardSpec]
                do {
                    forwards = try flags.forwards()
                } catch {
                    throw Failure(.configuration, "\(error)")
                }
                if let collision = ForwardCollision(in: forwards) {
                    throw Failure(.configuration, "\(collision.second.flag) \(collision.second): \(collision)")
                }
                return forwards
            }
            return forwards ?? []
        }
        return flags.stdio == nil ? settings?.forwards ?? [] : []
    }

    private func openDestinations() -> [DestinationRule] {
        guard !flags.allowOpen.isEmpty else { return settings?.allowOpen ?? [] }
        return flags.allowOpen.compactMap { text in
            let rule = DestinationRule(text)
            if rule == nil {
                problems.add(Failure(.configuration, "--allow-open \(text): \(DestinationRule.form)"))
            }
            return rule
        }
    }

    private func checkNumber(of tunnels: [TunnelSpec], _ limit: Int) {
        guard tunnels.count > limit else { return }
        problems.add(
            Failure(
                .configuration,
                "\(tunnels.count) tunnels, but a session has at most \(limit); raise tunnels in [limits] of both ends"
            )
        )
    }

    private func name() -> String {
        let text = flags.name ?? settings?.name ?? ""
        let isPrintable = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        guard text.utf8.count > 64 || !isPrintable else { return text }
        let problem = "must have at most 64 printable characters"
        if flags.name == nil, let file {
            file.report("name", problem)
        } else {
            problems.add(Failure(.configuration, "--name \(problem)"))
        }
        return ""
    }

    private func identity(_ name: String) -> [UInt8] {
        // Processes with -W come and go beside each other, and have no port to come back to.
        if flags.stdio != nil, flags.remote.isEmpty, flags.instance == nil { return ClientInstance.random() }
        guard let text = flags.instance ?? settings?.instance else { return ClientInstance.identity(name: name) }
        let value = problems.attempt(flags.instance == nil ? file : nil, "instance") { () throws(Failure) in
            try InstanceFile.value(text, isTrial: problems.isTrial)
        }
        return ClientInstance.identity(name: name, given: value)
    }

    private func admin(_ name: String) -> AdminPlaces {
        // Processes with -W come and go beside each other, and one socket is of no use to them.
        let socket = flags.stdio == nil ? StandardSocket.ofThisProcess.path(StandardSocket.client(name: name)) : nil
        guard !flags.admin.isEmpty else {
            return file?.adminPlaces(standardSocket: socket) ?? AdminPlaces(standardSocket: socket)
        }
        let places = problems.attempt(nil) { () throws(Failure) in
            try AdminOption.places(flags.admin, standardSocket: socket) { Failure(.configuration, "--admin: \($0)") }
        }
        return places ?? AdminPlaces()
    }

    /// The additional fields of a flag, or of the file's key if the flag is not given.
    private func fields(_ given: [String], _ configured: [String]?, _ key: String) -> HeaderFields {
        var fields = HeaderFields()
        let isFromFile = given.isEmpty
        for (index, line) in (isFromFile ? configured ?? [] : given).enumerated() {
            guard let problem = Self.append(line, to: &fields, of: key) else { continue }
            // The error has the field's number and not its text, which may be a secret.
            if isFromFile, let file {
                file.report(key, element: index, "\(index + 1): \(problem)")
            } else {
                let flag = "--" + key.replacing("_", with: "-")
                problems.add(Failure(.configuration, "\(flag) \(index + 1): \(problem)"))
            }
        }
        return fields
    }

    /// Appends `Name: value`, or returns what is wrong with it.
    private static func append(_ line: String, to fields: inout HeaderFields, of key: String) -> String? {
        guard let colon = line.firstIndex(of: ":") else { return "the form is 'Name: value'" }
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        do throws(HTTP1Error) {
            let name = String(line[..<colon])
            try fields.append(name, String(value))
            guard key == "header", ClientConfiguration.isOwnField(name) else { return nil }
            return "the upgrade request has a field \(name) of its own"
        } catch {
            return "\(error)"
        }
    }
}
