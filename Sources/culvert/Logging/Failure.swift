import Platform
import Tunnel

/// The exit codes, with the numbers of sysexits(3).
enum ExitStatus: Int32 {
    case usage = 64
    case badData = 65
    case unreachable = 69
    case bug = 70
    /// The machine refuses what every start needs: threads, descriptors, the arguments.
    case system = 71
    case notOurProtocol = 76
    case refused = 77
    case configuration = 78
}

/// An error that ends the program, with a line for its user.
struct Failure: Error, CustomStringConvertible {
    let status: ExitStatus
    let description: String

    init(_ status: ExitStatus, _ description: String) {
        self.status = status
        self.description = description
    }

    /// A failure whose reasons are on standard error already.
    init(reported status: ExitStatus) {
        self.init(status, "")
    }

    /// Finds the exit code of an error that a role throws.
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

    /// Prints the line and ends the process, without the thread of the log, which may not be available yet.
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
