import NIOCore
import Platform
import Tunnel
import TunnelCore

/// Finds the standard sockets of running servers and clients.
struct AdminSocketSearch {
    /// A role's socket.
    struct Socket: Equatable {
        let path: String
        /// The role and its name, by the name of the file.
        let role: String
        let isClient: Bool
        /// Whether this user may not connect.
        var isForbidden = false

        init(folder: String, file: String) {
            path = "\(folder)/\(file)"
            let name = file.dropLast(StandardSocket.suffix.count)
            isClient = name == "client" || name.hasPrefix("client-")
            guard name.hasPrefix("client-") else {
                role = String(name)
                return
            }
            let given = name.dropFirst("client-".count)
            role = "client \((PercentEncoding.decode(given) ?? String(given)).escapedForDisplay())"
        }
    }

    /// Where it looks.
    let folders: [String]

    /// - Parameters:
    ///   - own: the sockets of this process, whose user has a folder.
    ///   - systemFolder: the folder of services. Units may have folders beside it whose names begin with its name and a dash.
    init(_ own: StandardSocket, systemFolder: String = StandardSocket.systemFolder) {
        let slash = systemFolder.lastIndex(of: "/") ?? systemFolder.startIndex
        let parent = String(systemFolder[..<slash])
        let beside = Self.entries(parent).map { "\(parent)/\($0)" }.filter { $0.hasPrefix(systemFolder + "-") }
        folders = [systemFolder] + beside + (own.userFolder.map { [$0] } ?? [])
    }

    /// The path of the one socket that a command without `--admin` means.
    ///
    /// - Parameter needsServer: whether a client's socket is no choice.
    /// - Throws: a failure that lists several sockets, or says where it has looked for one.
    func only(needsServer: Bool = false) throws(Failure) -> String {
        let found = sockets.filter { !needsServer || !$0.isClient }
        let open = found.filter { !$0.isForbidden }
        if open.count == 1 { return open[0].path }
        guard open.isEmpty else {
            let list = open.map { "\n  --admin unix:\($0.path)  (\($0.role))" }.joined()
            throw Failure(.usage, "several are running here; choose one of them:\(list)")
        }
        if let forbidden = found.first {
            throw Failure(
                .unreachable,
                "unix:\(forbidden.path) (\(forbidden.role)): permission denied; run this command as the same user, or as root"
            )
        }
        let what = needsServer ? "server" : "server or client"
        throw Failure(
            .unreachable,
            "no running \(what) found in \(folders.joined(separator: ", ")); start one, or give its socket with "
                + "--admin unix:/PATH"
        )
    }

    /// The sockets at which a process answers, or at which this user may not ask. A file that a process has left behind is
    /// not among them.
    var sockets: [Socket] {
        folders.flatMap { folder in
            Self.entries(folder).sorted().filter { $0.hasSuffix(StandardSocket.suffix) }.compactMap { file in
                var socket = Socket(folder: folder, file: file)
                guard let problem = Self.problem(connecting: socket.path) else { return socket }
                guard problem == EACCES || problem == EPERM else { return nil }
                socket.isForbidden = true
                return socket
            }
        }
    }

    /// The error of a connection; nil if a process accepts it, or has too many connections to accept now.
    private static func problem(connecting path: String) -> Int32? {
        guard let address = try? SocketAddress(unixDomainSocketPath: path),
            let socket = try? StreamSocket.open(AF_UNIX)
        else { return ENOENT }
        defer { close(socket) }
        let result = address.withSockAddr { pointer, length in connect(socket, pointer, socklen_t(length)) }
        return result == 0 || errno == EAGAIN ? nil : errno
    }

    /// The names in a folder; none if it cannot be read.
    private static func entries(_ folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }
}
