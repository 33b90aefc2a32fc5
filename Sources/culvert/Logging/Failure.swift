import Platform
import Tunnel

/// The exit codes of the contract, sysexits' numbers.
enum ExitStatus: Int32 {
    case usage = 64
    case badData = 65
    case unreachable = 69
    case bug = 70
    /// The machine refuses what every start needs: threads, descriptors.
    case system = 71
    case notOurProtocol = 76
    case refused = 77
    case configuration = 78
}

/// What ends the program with a line for its user.
struct Failure: Error, CustomStringConvertible {
    let status: ExitStatus
    let description: String

    init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }

    /// A failure whose reasons stand on standard error already.
    init(told status: ExitStatus) {
        self.init(status, "")
    }

    /// Finds the status for whatever a role throws.
    init(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as ClientError:
            switch error {
            case .refused(let text): self.init(.refused, text)
            case .notOurs(let text): self.init(.notOurProtocol, text)
            case .unreachable(let text): self.init(.unreachable, text)
            case .configuration(let text): self.init(.configuration, text)
            }
        case let error as ServerError: self.init(.configuration, error.description)
        default: self.init(.bug, error.userDescription)
        }
    }

    /// The same before anything has begun, and without the thread that the log needs.
    func exitAtOnce() -> Never {
        Output.errorAtOnce("culvert: \(description)")
        _exit(status.rawValue)
    }

    /// Prints the line to standard error and ends the process.
    func exit() -> Never {
        if !description.isEmpty { Output.error("culvert: \(description)") }
        #if canImport(Glibc)
        Glibc.exit(status.rawValue)
        #elseif canImport(Musl)
        Musl.exit(status.rawValue)
        #else
        Darwin.exit(status.rawValue)
        #endif
    }
}
