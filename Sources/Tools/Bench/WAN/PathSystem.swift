import ArgumentParser
import Foundation
import TestSupport

/// A way from the visitors on the server's host to the service on the client's host.
struct PathSystem: Hashable, Sendable {
    /// A program, a value of `--systems`.
    enum Kind: String, CaseIterable, ExpressibleByArgument, Codable, Sendable {
        case direct
        case culvert
        case wstunnel
        case chisel
        case frp
    }

    let kind: Kind
    /// The name in the tables.
    let name: String
    /// The executables of the server and the client; empty for ``Kind/direct``.
    var server = ""
    var client = ""
    /// Further arguments of Culvert's client.
    var flags: [String] = []

    /// A bare TCP connection over the path.
    static let direct = PathSystem(kind: .direct, name: Kind.direct.rawValue)

    /// Culvert with the flags of a variant.
    static func culvert(_ variant: PathVariant) throws -> PathSystem {
        let executable = try variant.executable ?? CulvertExecutable.path()
        return PathSystem(
            kind: .culvert,
            name: variant.name,
            server: executable,
            client: executable,
            flags: variant.flags
        )
    }

    /// Another tunnel.
    ///
    /// - Parameter folders: the places of its programs.
    /// - Returns: nil if a program is missing.
    static func peer(_ kind: Kind, in folders: [String]) -> PathSystem? {
        let names = kind == .frp ? ["frps", "frpc"] : [kind.rawValue, kind.rawValue]
        let paths = names.compactMap { name in
            folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
        }
        guard paths.count == names.count else { return nil }
        return PathSystem(kind: kind, name: kind.rawValue, server: paths[0], client: paths[1])
    }
}
