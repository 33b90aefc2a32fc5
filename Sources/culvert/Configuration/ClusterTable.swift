import EtcdStore
import Mux
import Tunnel
import TunnelClient
import TunnelCore
import TunnelServer

/// The table `[cluster]` of a server's file.
enum ClusterTable {
    static let keys: Set<String> = [
        "etcd", "prefix", "user", "password_file", "ca", "certificate", "key", "peer_listen", "peer_url", "token_file",
        "leaving_time",
    ]

    /// Reads the table; nil if there is none, or if it has a mistake.
    static func read(_ file: ConfigurationFile) -> ClusterConfiguration? {
        guard let table = file.table("cluster") else { return nil }
        table.allow(keys)
        let etcd = members(table)
        let listen = table.required("peer_listen").flatMap { text in
            ListenAddress(text) ?? table.wrong("peer_listen", "\(text): \(ListenAddress.form)")
        }
        var cluster = ClusterConfiguration(etcd: etcd, peerListen: listen ?? .tcp(host: "127.0.0.1", port: 0))
        readPrefix(table, &cluster)
        readPeerURL(table, &cluster)
        if table.has("leaving_time") {
            if let time = table.duration("leaving_time"), time <= .seconds(3_600) {
                cluster.leavingTime = time
            } else {
                table.report("leaving_time", "expected a time up to an hour, for instance \"5 s\"")
            }
        }
        readSecrets(table, &cluster)
        readCertificates(table, &cluster)
        guard listen != nil else { return nil }
        // A key with a mistake of its own is not missing.
        for problem in cluster.problems where !(problem.isMissing && table.has(problem.key)) {
            table.report(problem.key, problem.text)
        }
        return cluster.problems.isEmpty ? cluster : nil
    }

    /// The members of etcd. A malformed URL is reported, and counts as given.
    private static func members(_ table: ConfigurationFile) -> [String] {
        let texts = table.strings("etcd") ?? []
        for (number, text) in texts.enumerated() {
            let element = texts.count > 1 ? number : nil
            do throws(EtcdConfigurationError) {
                let member = try EtcdEndpoint(text)
                guard table.has("password_file"), !member.isSecure, !isLoopback(member.place.host) else { continue }
                let problem = "the password would reach \(member.place.host) in the clear"
                table.report("etcd", element: element, "\(problem); give etcd a certificate and write https://")
            } catch {
                table.report("etcd", element: element, "\(error)")
            }
        }
        return texts
    }

    private static func readPrefix(_ table: ConfigurationFile, _ cluster: inout ClusterConfiguration) {
        guard let prefix = table.string("prefix") else { return }
        guard !prefix.isEmpty else { return table.report("prefix", "it is empty; leave it out for culvert/") }
        cluster.prefix = prefix
    }

    private static func readPeerURL(_ table: ConfigurationFile, _ cluster: inout ClusterConfiguration) {
        guard let text = table.string("peer_url") else { return }
        cluster.peerURL = text
        do throws(EndpointURL.Malformed) {
            let url = try EndpointURL(text)
            guard url.suitsPeers else {
                let problem = "other servers do not dial \(url), since it has no TLS"
                return table.report("peer_url", "\(problem); write wss://, or a loopback address for one machine")
            }
            if url.path != "/peer" {
                table.warn("peer_url", "the path of other servers is /peer, and a front must lead \(url.path) there")
            }
        } catch {
            table.report("peer_url", "\(error)")
        }
    }

    private static func readSecrets(_ table: ConfigurationFile, _ cluster: inout ClusterConfiguration) {
        if let path = table.string("token_file") {
            cluster.token =
                table.problems.attempt(table, "token_file") { () throws(Failure) in
                    try SecretFile.token(file: path)
                } ?? nil
        }
        let (user, path) = (table.string("user"), table.string("password_file"))
        switch (user, path) {
        case (let user?, let path?):
            let password = table.problems.attempt(table, "password_file") { () throws(Failure) in
                try SecretFile.read(path, what: "password")
            }
            if let password { cluster.user = (user, String(password.prefix { !$0.isNewline })) }
        case (nil, nil):
            break
        case (_, nil):
            table.report("user", "password_file is missing")
        case (nil, _):
            table.report("password_file", "user is missing")
        }
    }

    private static func readCertificates(_ table: ConfigurationFile, _ cluster: inout ClusterConfiguration) {
        if let path = table.string("ca") {
            cluster.authorities = table.problems.attempt(table, "ca") { () throws(Failure) in
                try TLSFiles.authorities(path)
            }
        }
        let (certificate, key) = (table.string("certificate"), table.string("key"))
        guard certificate != nil || key != nil else { return }
        guard let certificate, let key else {
            return table.report(certificate == nil ? "key" : "certificate", "a certificate and a key belong together")
        }
        cluster.identity =
            table.problems.attempt(table, "certificate", "key") { () throws(Failure) in
                try TLSFiles.identity(certificate, key)
            } ?? nil
    }
}
