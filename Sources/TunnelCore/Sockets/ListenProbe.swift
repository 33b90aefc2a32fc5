import NIOCore
import Platform

extension ListenAddress {
    /// Whether the system would bind the address at all, at some port; nil if it cannot be tried.
    ///
    /// The port itself is not tried: the server that is to be started again may hold it.
    public var isOfThisMachine: Bool? {
        guard case .tcp(let host, _) = self else { return nil }
        let text = host == "localhost" ? "127.0.0.1" : host
        guard let address = try? SocketAddress(ipAddress: text, port: 0),
            let descriptor = try? StreamSocket.open(host.contains(":") ? AF_INET6 : AF_INET)
        else { return nil }
        defer { close(descriptor) }
        return address.withSockAddr { pointer, length in
            if bind(descriptor, pointer, socklen_t(length)) == 0 { return true }
            return errno == EADDRNOTAVAIL ? false : nil
        }
    }

    /// The folder that a unix socket needs and that is not there; nil if nothing is missing.
    public var missingFolder: String? {
        guard case .unix(let path) = self, let slash = path.lastIndex(of: "/") else { return nil }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return access(folder, F_OK) != 0 && errno == ENOENT ? folder : nil
    }
}
