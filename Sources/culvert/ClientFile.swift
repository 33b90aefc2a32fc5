import Tunnel

/// A client's configuration file.
struct ClientFile {
    private static let keys: Set<String> = [
        "url", "token", "token_file", "name", "proxy", "proxy_auth", "proxy_user", "proxy_password_file",
        "proxy_certificate", "proxy_key", "netrc", "proxy_header", "ca", "ca_only", "header", "user_agent",
        "max_retries", "compress", "compress_shared",
        "tunnel",
    ]

    let url: [String]
    let token: String?
    let tokenFile: String?
    let name: String?
    let proxy: [String]
    let proxyAuth: String?
    let proxyUser: String?
    let proxyPasswordFile: String?
    let proxyCertificate: String?
    let proxyKey: String?
    let netrc: Bool?
    let proxyHeader: [String]
    let ca: [String]
    let caOnly: Bool
    let header: [String]
    let userAgent: String?
    let maxRetries: Int?
    let compress: Bool?
    let compressShared: Bool?
    let forwards: [RemoteForward]

    init(_ file: ConfigurationFile) throws(Failure) {
        try file.allow(Self.keys)
        url = try file.strings("url") ?? []
        for text in url {
            do throws(EndpointURL.Malformed) {
                _ = try EndpointURL(text)
            } catch {
                throw file.failure("url", error.description)
            }
        }
        token = try file.string("token")
        tokenFile = try file.string("token_file")
        name = try file.string("name")
        proxy = try file.strings("proxy") ?? []
        proxyAuth = try file.string("proxy_auth")
        proxyUser = try file.string("proxy_user")
        proxyPasswordFile = try file.string("proxy_password_file")
        proxyCertificate = try file.string("proxy_certificate")
        proxyKey = try file.string("proxy_key")
        netrc = try file.boolean("netrc")
        proxyHeader = try file.strings("proxy_header") ?? []
        ca = try file.strings("ca") ?? []
        caOnly = try file.boolean("ca_only") ?? false
        header = try file.strings("header") ?? []
        userAgent = try file.string("user_agent")
        compress = try file.boolean("compress")
        compressShared = try file.boolean("compress_shared")
        maxRetries = try file.integer("max_retries")
        if let maxRetries, maxRetries < 0 { throw file.failure("max_retries", "cannot be negative") }
        forwards = try Self.forwards(file)
    }

    /// `[[tunnel]] remote = "8022" local = "localhost:22"`: the two halves of `-R`.
    private static func forwards(_ file: ConfigurationFile) throws(Failure) -> [RemoteForward] {
        var forwards: [RemoteForward] = []
        for table in try file.tables("tunnel") {
            try table.allow(["remote", "local"])
            guard let remote = try table.string("remote") else { throw table.failure("remote", "missing") }
            guard let local = try table.string("local") else { throw table.failure("local", "missing") }
            do throws(RemoteForward.Malformed) {
                forwards.append(try RemoteForward("\(remote):\(local)"))
            } catch {
                throw table.failure("remote", error.description)
            }
        }
        return forwards
    }
}
