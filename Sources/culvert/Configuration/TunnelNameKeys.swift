import HTTPRelay
import Mux
import Tunnel

/// The keys of a `[[tunnel]]` at a host name, and those of groups and health checks.
enum TunnelNameKeys {
    static let keys: Set<String> = [
        "name", "path", "host_header", "set_headers", "basic_auth_file", "group", "group_key_file", "group_sticky",
        "health",
    ]

    /// Whether a table is for a host name, by its protocol.
    static func isName(_ table: ConfigurationFile) -> Bool {
        ["http", "tls"].contains(table.string("protocol") ?? "")
    }

    /// The tunnel of a table at a host name; nil if it has a mistake.
    static func tunnel(_ table: ConfigurationFile) -> TunnelSpec? {
        if table.has("remote") { table.report("remote", "a tunnel at a host name has name in its place") }
        if isHTTP(table), table.has("proxy_protocol") {
            table.report(
                "proxy_protocol",
                "X-Forwarded-For has the visitor of each request; the header is for ports and tls"
            )
        }
        guard let name = table.required("name"), let local = table.required("local") else {
            _ = table.required("local")
            return nil
        }
        let path = table.string("path") ?? ""
        if !path.isEmpty, !path.hasPrefix("/") { return table.wrong("path", "expected a path that begins with /") }
        do throws(TunnelSpec.Malformed) {
            var spec = try TunnelSpec("\(table.string("protocol") ?? "http"):\(name)\(path):\(local)")
            if isHTTP(table) { relay(table, &spec) }
            return spec
        } catch {
            return table.wrong("name", error.description)
        }
    }

    private static func isHTTP(_ table: ConfigurationFile) -> Bool { table.string("protocol") == "http" }

    /// What is done to the requests.
    private static func relay(_ table: ConfigurationFile, _ spec: inout TunnelSpec) {
        if let host = table.string("host_header") {
            if PublicName(authority: host) == nil {
                table.report("host_header", "expected a host, or a host and a port: example.com, localhost:3000")
            }
            spec.name?.hostHeader = host
        }
        var fields: [RequestedName.Field] = []
        let texts = table.strings("set_headers") ?? []
        for (number, text) in texts.enumerated() {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(parts[1]).trimmingBlanks : ""
            guard parts.count == 2, let field = try? RelayRules.Field(String(parts[0]), value) else {
                let problem = "expected \"Name: value\" with a field that neither frames a message nor ends at a hop"
                table.report("set_headers", element: texts.count > 1 ? number : nil, problem)
                continue
            }
            fields.append(RequestedName.Field(field.name, field.value))
        }
        spec.name?.setHeaders = fields
        if let file = table.string("basic_auth_file") { spec.name?.passwords = passwords(file, table) }
        if spec.name?.fits == false {
            table.report("set_headers", "too long: at most \(RequestedName.longestFields) bytes in all")
        }
    }

    /// The lines of a file with visitors' passwords.
    private static func passwords(_ path: String, _ table: ConfigurationFile) -> [String] {
        let passwords = table.problems.attempt(table, "basic_auth_file") { () throws(Failure) in
            let text = try SecretFile.read(path, what: "passwords")
            do throws(VisitorPassword.Unsuitable) {
                return try VisitorPasswords(file: text)
            } catch {
                throw Failure(.badData, "\(path): \(error)")
            }
        }
        return passwords?.lines ?? []
    }

    /// The group and the health check of a tunnel at any place.
    static func share(_ table: ConfigurationFile, _ spec: inout TunnelSpec) {
        if let text = table.string("health") {
            spec.health = HealthCheck(text)
            if spec.health == nil { table.report("health", HealthCheck.form) }
            if spec.transport == .udp || spec.target == .socks {
                table.report("health", "a UDP service and a SOCKS port have no health check")
            }
        }
        guard let group = table.string("group") else {
            for key in ["group_key_file", "group_sticky"] where table.has(key) {
                table.report(key, "it has no meaning without group")
            }
            return
        }
        guard let file = table.required("group_key_file") else { return }
        guard !group.isEmpty, group.utf8.count <= RequestedGroup.longestName else {
            return table.report("group", "expected a name of at most \(RequestedGroup.longestName) bytes")
        }
        if !spec.isShareable {
            return table.report("group", "a group shares a TCP port that is written, or a host name")
        }
        let key = table.problems.attempt(table, "group_key_file") { () throws(Failure) in
            try SecretFile.groupKey(file)
        }
        guard let key else { return }
        spec.group = key.request(for: group, isSticky: table.boolean("group_sticky") ?? false)
    }
}

extension String {
    /// The text without spaces and tabs at its ends.
    fileprivate var trimmingBlanks: String {
        String(drop { " \t".contains($0) }.reversed().drop { " \t".contains($0) }.reversed())
    }
}
