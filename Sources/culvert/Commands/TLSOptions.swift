import NIOSSL
import Tunnel

/// Reads the options of the TLS handshake, from flags or a file.
enum TLSOptions {
    /// - Parameter failure: makes an error from a description.
    static func groups<Problem: Error>(
        _ text: String,
        _ failure: (String) -> Problem
    ) throws(Problem) -> TLSGroups {
        do throws(TLSGroups.Malformed) { return try TLSGroups(text) } catch { throw failure(error.description) }
    }

    /// - Parameter failure: makes an error from a description.
    static func version<Problem: Error>(
        _ text: String,
        _ failure: (String) -> Problem
    ) throws(Problem) -> TLSVersion {
        switch text {
        case "1.2": return .tlsv12
        case "1.3": return .tlsv13
        default: throw failure("expected 1.2 or 1.3; older versions are not secure")
        }
    }

    /// - Parameter failure: makes an error from a description.
    static func address<Problem: Error>(
        _ text: String,
        _ failure: (String) -> Problem
    ) throws(Problem) -> ConnectAddress {
        do throws(ConnectAddress.Malformed) { return try ConnectAddress(text) } catch {
            throw failure(error.description)
        }
    }

    /// The client's TLS with these groups, up to this version.
    static func client(_ groups: TLSGroups?, _ newest: TLSVersion?) throws(Failure) -> TLSConfiguration {
        if newest == .tlsv12, groups?.curves == [.x25519_MLKEM768] {
            throw Failure(
                .configuration,
                "TLS 1.2 does not have the group X25519MLKEM768; allow another with --tls-groups"
            )
        }
        return TLSConfiguration.tunnelClient().offering(groups, upTo: newest)
    }
}
