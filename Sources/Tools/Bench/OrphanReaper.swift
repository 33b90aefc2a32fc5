import ArgumentParser
import Foundation

/// Kills the processes of a trial if the runner was killed before it could.
struct OrphanReaper: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "orphan-reaper", shouldDisplay: false)

    @Argument var processes: [Int32]

    func run() {
        let runner = getppid()
        let targets = processes.map { ($0, ProcessUsage.start(of: $0)) }
        while getppid() == runner { Clock.sleep(until: Clock.seconds + 0.5) }
        // The signal must not reach another process with the same id.
        for (pid, start) in targets where start != nil && ProcessUsage.start(of: pid) == start { kill(pid, SIGKILL) }
    }
}
