import Mux
import Tunnel

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
        let etcd = table.strings("etcd") ?? []
        let listen = table.required("peer_listen").flatMap { text in
            ListenAddress(text) ?? table.wrong("peer_listen", "\(text): \(ListenAddress.form)")
        }
        guard let listen else { return nil }
        var cluster = ClusterConfiguration(etcd: etcd, peerListen: listen)
        if let prefix = table.string("prefix") { cluster.prefix = prefix }
        cluster.peerURL = table.string("peer_url")
        if table.has("leaving_time") {
            if let time = table.duration("leaving_time"), time <= .seconds(3_600) {
                cluster.leavingTime = time
            } else {
                table.report("leaving_time", "expected a time up to an hour, for instance \"5 s\"")
            }
        }
        readSecrets(table, &cluster)
        readCertificates(table, &cluster)
        if let problem = cluster.problem { return table.wrong(problem.key, problem.text) }
        return cluster
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
