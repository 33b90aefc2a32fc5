import NIOCore
import Platform

/// The system's own resolver: files, DNS and the machine's other sources.
package enum SystemLookup {
    /// Blocks until the resolver returns.
    package static func addresses(of name: String) -> NameTable.Outcome {
        addresses(of: name, flags: 0)
    }

    /// The address that a text spells in any form that the system knows, without asking anybody; nil for a name. Does not
    /// block.
    package static func literal(_ text: String) -> [SocketAddress]? {
        guard isUsable(text), let addresses = try? addresses(of: text, flags: AI_NUMERICHOST).get() else { return nil }
        return addresses
    }

    /// Whether a text may be given to the resolver, for which it ends at the first NUL.
    package static func isUsable(_ name: String) -> Bool {
        (1...NameLimits.nameLength).contains(name.utf8.count) && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    private static func addresses(of name: String, flags: Int32) -> NameTable.Outcome {
        guard isUsable(name) else { return .failure(.unusable) }
        var hints = addrinfo()
        hints.ai_flags = flags
        #if canImport(Glibc)
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
        hints.ai_socktype = SOCK_STREAM
        #endif
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &first)
        defer { if let first { freeaddrinfo(first) } }
        guard code == 0 else { return .failure(failure(code)) }
        var addresses: [SocketAddress] = []
        var entry = first
        while let current = entry?.pointee, addresses.count < NameLimits.addresses {
            if let address = address(current), !addresses.contains(address) { addresses.append(address) }
            entry = current.ai_next
        }
        return addresses.isEmpty ? .failure(.notFound) : .success(addresses)
    }

    private static func address(_ entry: addrinfo) -> SocketAddress? {
        guard let address = entry.ai_addr else { return nil }
        let (raw, length) = (UnsafeRawPointer(address), Int(entry.ai_addrlen))
        switch entry.ai_family {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            return SocketAddress(raw.loadUnaligned(as: sockaddr_in.self))
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            return SocketAddress(raw.loadUnaligned(as: sockaddr_in6.self))
        default:
            return nil
        }
    }

    private static func failure(_ code: Int32) -> NameFailure {
        #if canImport(Glibc)
        let absent = [EAI_NONAME, -5]  // EAI_NODATA, which only glibc's extensions name.
        #else
        let absent = [EAI_NONAME]
        #endif
        return absent.contains(code) ? .notFound : .noAnswer
    }
}
