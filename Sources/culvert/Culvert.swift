import ArgumentParser
import Tunnel

/// The executable. Each role is a subcommand.
@main
struct Culvert: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "culvert",
        abstract:
            "Carries TCP connections and UDP into and out of a private network, through an HTTP proxy, in one WebSocket.",
        version: "culvert \(culvertVersion)",
        subcommands: [
            ServerCommand.self, ClientCommand.self, StatusCommand.self, DashboardCommand.self, DoctorCommand.self,
            KickCommand.self, RenewCommand.self, ReloadCommand.self,
            ClientAddCommand.self, ClientRotateCommand.self, ClientRevokeCommand.self,
            CheckCommand.self, TokenCommand.self, KeyCommand.self, PasswordCommand.self, DemoCommand.self,
            EvaluateCommand.self,
        ]
    )

    static func main() async {
        ProcessSetup.prepare()
        let arguments: [String]
        do throws(Failure) {
            arguments = try ProcessArguments.all()
            try ProcessNeeds.check(arguments.first)
            if let problem = OptionNames.problem(inCommandLine: arguments) { throw Failure(.usage, problem) }
        } catch {
            error.exitAtOnce()
        }
        do {
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            failure.exit()
        } catch  where exitCode(for: error) == .failure {
            // The parser would print an error that is not its own without a prefix.
            Failure(error).exit()
        } catch {
            exit(withError: error)
        }
    }
}
